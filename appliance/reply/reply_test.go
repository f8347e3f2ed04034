package reply

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	t.Parallel()
	if r := Of(fmt.Errorf("looking up: %w", UnknownRecipient)); r != UnknownRecipient {
		t.Errorf("%v", r)
	}
	inner := errors.New("disk on fire at /secret/path")
	r := Of(inner)
	if r.Code != 451 || !r.Temporary() || !errors.Is(r, inner) {
		t.Errorf("%v", r)
	}
	if strings.Contains(r.Text, "secret") {
		t.Errorf("the inside shows in %q", r.Text)
	}
}

func TestBecauseLeavesTheOriginalAlone(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	if r := StorageError.Because(cause); r == StorageError || !errors.Is(r, cause) || errors.Is(StorageError, cause) {
		t.Errorf("%v", r)
	}
}

func TestSharedRepliesAreComplete(t *testing.T) {
	t.Parallel()
	for _, r := range []*Reply{LocalError, StorageError, UnknownRecipient, RelayDenied, TooManyHops, ShuttingDown} {
		if r.Code/100 != int(r.Enhanced[0]-'0') || r.Name == "" || r.Text == "" || strings.ContainsAny(r.Text, "\r\n") {
			t.Errorf("%+v", r)
		}
	}
}
