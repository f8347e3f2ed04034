package esmtp

import (
	"io"
	"slices"
	"testing"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
)

// TestAnsweredEvents: what is said and counted once Commit has returned.
func TestAnsweredEvents(t *testing.T) {
	t.Parallel()
	var got []string
	r := NewRecorder(RecorderOptions{
		Late: func(_ envelope.ID, e maillog.Entry) { got = append(got, e.Step+": "+e.Say) },
	})
	tx := &Transaction{Envelope: &envelope.Envelope{ID: "x", To: make([]envelope.Recipient, 2)}, Stored: true}
	c := &content{by: r, tx: tx, size: 9}
	c.Answered(nil)
	c.Answered(io.ErrClosedPipe)
	tx.Stored = false
	c.Answered(nil)
	want := []string{
		"accepted: accepted with 250 after 0.0 ms",
		"answer-lost: the message is kept, but the peer went away before it heard the 250 and may send it again: " + io.ErrClosedPipe.Error(),
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if st := r.Counts(); st.Messages != 2 || st.Octets != 18 || st.AnswersLost != 1 {
		t.Errorf("counts are %+v", st)
	}
}
