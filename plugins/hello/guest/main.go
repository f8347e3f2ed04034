//go:build wasip1

// Command guest is the plugin hello as the host runs it: one function for each
// stage. What it does is in plugins/hello.
//
// It may import plugins/hello and plugins/sdk alone.
package main

import (
	"hauspost/plugins/hello"
	"hauspost/plugins/sdk"
)

func main() {}

//go:wasmexport on_message
func onMessage() int32 { return sdk.Run(hello.OnMessage) }

//go:wasmexport on_submit
func onSubmit() int32 { return sdk.Run(hello.OnSubmit) }
