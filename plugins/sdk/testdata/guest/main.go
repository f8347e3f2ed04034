// Command guest is a plugin that uses all of the sdk.
package main

import (
	"io"
	"strconv"

	"hauspost/plugins/abi"
	"hauspost/plugins/sdk"
)

func main() {}

//go:wasmexport on_message
func onMessage() int32 { return sdk.Run(check) }

//go:wasmexport on_timer
func onTimer() int32 { return sdk.Run(func(c *sdk.Call) error { return c.Keys().Delete("seen") }) }

func check(c *sdk.Call) error {
	header, err := c.Header()
	if err != nil {
		return err
	}
	parts, err := c.Parts()
	if err != nil {
		return err
	}
	for _, p := range parts {
		n, err := io.Copy(io.Discard, p.Open(abi.Raw))
		if err != nil {
			return err
		}
		if n == 0 {
			c.Score("EMPTY_PART", c.Settings().Number("points", 0.5), "a part is empty")
		}
	}
	if err := c.Keys().Add("seen", 1, sdk.Hour); err != nil {
		return err
	}
	if _, err := c.Keys().Get("seen"); err != nil {
		return err
	}
	txt, err := c.Lookup("example.org", "TXT")
	if err != nil {
		return err
	}
	reply, err := c.Service("echo", []byte(header.Text("Subject")))
	if err != nil {
		return err
	}
	var salt [8]byte
	if err := c.Random(salt[:]); err != nil {
		return err
	}
	c.Info(strconv.FormatInt(c.Now(), 10), " ", string(reply))
	for _, r := range c.Event.Recipients {
		c.For(r).Tag("Seen" + txt[0])
	}
	return nil
}
