// Command empty is the smallest plugin.
package main

import "hauspost/plugins/sdk"

func main() {}

//go:wasmexport on_message
func onMessage() int32 { return sdk.Run(check) }

func check(*sdk.Call) error { return nil }
