package headers

import (
	"errors"
	"strings"

	"hauspost/plugins/sdk"
)

// The settings of the plugin.
const (
	incomingSetting = "rules"
	outgoingSetting = "outgoing"
)

// OnMessage applies the rules of the setting "rules" to mail that comes in.
func OnMessage(c *sdk.Call) error { return apply(c, incomingSetting, Incoming) }

// OnSubmit applies the rules of the setting "outgoing" to mail that goes out.
func OnSubmit(c *sdk.Call) error { return apply(c, outgoingSetting, Outgoing) }

// apply fails where a rule is wrong, rather than to do half of what the owner
// wrote: the failure and each fault are in the trace of the message.
func apply(c *sdk.Call, setting string, way Way) error {
	text := c.Settings().Text(setting, "")
	if strings.TrimSpace(text) == "" {
		return nil
	}
	rules, err := Parse(text, way)
	if err != nil {
		const most = 10
		faults := strings.Split(err.Error(), "\n")
		for i, fault := range faults {
			if i == most {
				c.Error("… and more")
				break
			}
			c.Error(setting, ": ", fault)
		}
		return errors.New("the setting " + setting + " has rules that cannot be read: " + faults[0])
	}
	header, err := c.Header()
	if err != nil {
		return err
	}
	effects, err := rules.Apply(&c.Event, header)
	if err != nil {
		return err
	}
	for _, e := range effects {
		c.Propose(e)
	}
	return nil
}
