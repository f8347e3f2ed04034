// Command my-plugin is a plugin for Hauspost: one function for each stage that
// plugin.toml names. What it does is in rule.go, where it can be tested.
package main

import "hauspost/plugins/sdk"

func main() {}

//go:wasmexport on_message
func onMessage() int32 { return sdk.Run(check) }
