package appliance

import (
	"errors"
	"slices"
	"strings"

	"hauspost/appliance/control"
	"hauspost/plugins/pack"
)

// chosenGrants gives what of the needs a choice grants.
func chosenGrants(needs pack.Grants, c control.PluginChoice) (pack.Grants, error) {
	deny := c.Deny
	if len(c.Only) > 0 {
		for _, name := range c.Only {
			if !slices.ContainsFunc(needs.Terms(), func(t pack.Term) bool { return meansTerm(name, t) }) {
				return pack.Grants{}, invalid("the plugin does not ask for %q: it asks for %s", name, termNames(needs))
			}
		}
		for _, t := range needs.Terms() {
			i := slices.IndexFunc(c.Only, func(name string) bool { return meansTerm(name, t) })
			switch {
			case i < 0:
				deny = append(slices.Clone(deny), t.Name)
			case strings.HasPrefix(c.Only[i], "points:") && c.Only[i] != t.Name:
				deny = append(slices.Clone(deny), c.Only[i])
			}
		}
	}
	return lessGrants(needs, needs, deny)
}

// lessGrants takes what deny names from grants. What is in the needs and was not
// granted in the first place may be named as well.
func lessGrants(granted, needs pack.Grants, deny []string) (pack.Grants, error) {
	for _, name := range deny {
		// Less takes points as those that are left. All that there are, as the
		// term is called, would change nothing: so that means the term.
		if strings.HasPrefix(name, "points:") && slices.ContainsFunc(granted.Terms(), func(t pack.Term) bool { return t.Name == name }) {
			name = "score"
		}
		less, err := granted.Less(name)
		if err == nil {
			granted = less
			continue
		}
		if _, unknown := needs.Less(name); unknown != nil {
			return pack.Grants{}, invalid("%v", unknown)
		}
	}
	return granted, nil
}

// meansTerm tells whether a word of the owner means a term: its name, its kind, or
// less points.
func meansTerm(word string, t pack.Term) bool {
	kind, _, _ := strings.Cut(t.Name, ":")
	switch {
	case word == t.Name || word == kind:
		return true
	case kind == "points":
		return word == "score" || strings.HasPrefix(word, "points:")
	}
	return false
}

func termNames(g pack.Grants) string {
	list := each(g.Terms(), func(t pack.Term) string { return t.Name })
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// wantedGrants gives what a package would be granted: when it is new, what the choice
// leaves of its needs; as an update, what was granted and is still needed, with
// what the choice leaves of what is needed more.
func wantedGrants(f *pack.Folder, p *pack.Package, c control.PluginChoice) (granted, more pack.Grants, installed string, err error) {
	e, err := f.Get(p.Manifest.ID)
	if errors.Is(err, pack.ErrNotInstalled) {
		granted, err = chosenGrants(p.Manifest.Needs, c)
		return granted, pack.Grants{}, "", err
	}
	if err != nil {
		return pack.Grants{}, pack.Grants{}, "", err
	}
	asks, keeps, err := f.Asks(p)
	if err != nil {
		return pack.Grants{}, pack.Grants{}, "", err
	}
	// What the choice takes away may be among what was granted before.
	deny := c.Deny
	c.Deny = nil
	if more, err = chosenGrants(asks, c); err == nil {
		more, err = lessGrants(more, p.Manifest.Needs, deny)
	}
	if err == nil {
		granted, err = lessGrants(keeps.With(more), p.Manifest.Needs, deny)
	}
	if err != nil {
		return pack.Grants{}, pack.Grants{}, "", err
	}
	return granted, more, e.Version, nil
}
