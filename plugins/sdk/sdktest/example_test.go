//go:build !wasip1

package sdktest_test

import (
	"fmt"

	"hauspost/plugins/abi"
	"hauspost/plugins/sdk"
	"hauspost/plugins/sdk/sdktest"
)

// check is what a plugin's package would export.
func check(c *sdk.Call) error {
	if err := c.Keys().Add(c.Event.Sender, 1, 30*sdk.Day); err != nil {
		return err
	}
	seen, err := c.Keys().Get(c.Event.Sender)
	if err != nil {
		return err
	}
	if seen[0].Number == 1 {
		c.Score("FIRST_TIME", 0.5, "this sender never wrote before")
	}
	return nil
}

func Example() {
	box := &sdktest.Box{
		Event: abi.Event{Sender: "anna@example.org"},
		Raw:   "Subject: hello\r\n\r\nworld\r\n",
	}
	first, second := box.Run(check), box.Run(check)
	fmt.Println(first.Effects[0].Detail, first.Err)
	fmt.Println(len(second.Effects), box.Keys["anna@example.org"].Number, second.Err)
	// Output:
	// this sender never wrote before <nil>
	// 0 2 <nil>
}

func ExampleResult_Find() {
	box := &sdktest.Box{Event: abi.Event{Sender: "anna@example.org"}}
	effect, ok := box.Run(check).Find("FIRST_TIME")
	fmt.Println(effect.Points, ok)
	// Output: 0.5 true
}
