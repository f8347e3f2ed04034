package submit

import (
	"context"

	"hauspost/appliance/esmtp"
	"hauspost/appliance/reply"
)

// Content implements esmtp.Session.
func (s *session) Content(ctx context.Context, via esmtp.Via) (esmtp.Content, *reply.Reply) {
	s.tx.Step = string(via)
	return s.srv.record.Content(&s.tx.Transaction, s.srv.opt.Intake.Stage(ctx, s.tx.Envelope, s.tx.Trace, s.tx.author)), nil
}
