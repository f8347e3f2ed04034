package config

import (
	"fmt"
	"strconv"

	"github.com/pelletier/go-toml/v2"
)

// migration takes the decoded file from one version to the next. It changes
// doc in place; the version key is set for it.
type migration func(doc map[string]any) error

// migrations[i] leads from version i+1 to i+2.
var migrations = []migration{}

// migrate brings an older file to the present version. It returns nil where
// nothing was to do; a fault lacks its place in the file.
func migrate(doc map[string]any, steps []migration) ([]byte, *Fault) {
	version, ok := doc["version"].(int64)
	current := int64(len(steps) + 1)
	if !ok || version == current || version < 1 {
		return nil, nil // what is missing or malformed is found by the parser
	}
	fault := &Fault{Key: "version", Value: strconv.FormatInt(version, 10)}
	if version > current {
		fault.Problem = fmt.Sprintf("this hauspost knows no version above %d", current)
		fault.Remedy = "use the hauspost that wrote this file, or a newer one"
		return nil, fault
	}
	for ; version < current; version++ {
		if err := steps[version-1](doc); err != nil {
			fault.Problem = fmt.Sprintf("cannot be brought to version %d: %v", version+1, err)
			fault.Remedy = "mend what the message names"
			return nil, fault
		}
		doc["version"] = version + 1
	}
	data, err := toml.Marshal(doc)
	if err != nil {
		fault.Problem = fmt.Sprintf("cannot be brought to version %d: %v", current, err)
		return nil, fault
	}
	return data, nil
}
