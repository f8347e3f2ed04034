package submit

import (
	"context"
	"time"

	"hauspost/appliance/esmtp"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
)

// Content implements esmtp.Session.
func (s *session) Content(ctx context.Context, via esmtp.Via) (esmtp.Content, *reply.Reply) {
	tx := s.tx
	tx.Step = string(via)
	return &content{
		srv: s.srv, tx: tx,
		Staging: s.srv.opt.Intake.Stage(ctx, tx.Envelope, tx.trace, tx.author),
	}, nil
}

// content hands a message to its Staging. It implements esmtp.Content; Write
// and Discard are the Staging's own.
type content struct {
	Staging
	srv  *Server
	tx   *transaction
	size int64
	took time.Duration
}

// Commit implements esmtp.Content.
func (c *content) Commit(ctx context.Context, size int64) *reply.Reply {
	c.tx.trace.Add(maillog.Received{Size: size, Via: c.tx.Step})
	start := c.srv.opt.Now()
	r := c.tx.Commit(ctx, c.Staging)
	c.size, c.took = size, c.srv.opt.Now().Sub(start)
	return r
}

// Answered implements esmtp.Content.
func (c *content) Answered(err error) {
	if !c.tx.Stored {
		return
	}
	var ev maillog.Event = maillog.Accepted{
		Recipients: len(c.tx.Envelope.To), Milliseconds: float64(c.took.Microseconds()) / 1000,
	}
	lost := uint64(0)
	if err != nil {
		ev, lost = esmtp.AnswerLost{Error: err.Error()}, 1
	}
	c.srv.count(func(st *Stats) {
		st.Messages++
		st.Octets += uint64(c.size)
		st.AnswersLost += lost
	})
	id := c.tx.Envelope.ID
	entry := c.srv.opt.Log.Emit(id, ev)
	if c.srv.opt.Late != nil {
		c.srv.opt.Late(id, entry)
	}
}
