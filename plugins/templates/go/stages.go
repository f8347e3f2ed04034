//go:build wasip1

package main

import "hauspost/plugins/sdk"

// One function for each stage that plugin.toml names.

//go:wasmexport on_message
func onMessage() int32 { return sdk.Run(check) }
