//go:build wasip1

// Command guest is the plugin headers as the host runs it: one function for each
// stage. What it does is in plugins/headers.
//
// It may import plugins/headers and plugins/sdk alone.
package main

import (
	"hauspost/plugins/headers"
	"hauspost/plugins/sdk"
)

func main() {}

//go:wasmexport on_message
func onMessage() int32 { return sdk.Run(headers.OnMessage) }

//go:wasmexport on_submit
func onSubmit() int32 { return sdk.Run(headers.OnSubmit) }
