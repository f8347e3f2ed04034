package smtpd

import (
	"hauspost/appliance/esmtp"
	"hauspost/appliance/maillog"
)

// transaction is what was said of one message so far, and its trace.
type transaction struct {
	esmtp.Transaction
	trace *maillog.Trace
}
