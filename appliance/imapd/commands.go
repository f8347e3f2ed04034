package imapd

// commands is the table of commands by name. UID forms are part of their
// command.
var commands map[string]*command

// The table is filled here and not where it is declared, as handlers look into
// it again.
func init() {
	commands = map[string]*command{}
	for _, c := range []*command{
		// Any state (RFC 9051, section 6.1).
		{name: "CAPABILITY", states: anyState, run: runCapability},
		{name: "NOOP", states: anyState, run: runNoop},
		{name: "LOGOUT", states: anyState, news: newsNone, run: runLogout},
		{name: "ID", states: anyState, capability: "ID", run: runID},
		// Before the login (section 6.2).
		{name: "STARTTLS", states: anonymous, capability: "STARTTLS", run: runStartTLS},
		{name: "AUTHENTICATE", states: anonymous, run: runAuthenticate},
		{name: "LOGIN", states: anonymous, run: runLogin},
		// After the login (section 6.3).
		{name: "ENABLE", states: withUser, capability: "ENABLE", run: runEnable},
		{name: "SELECT", states: withUser, news: newsNone, run: runSelect},
		{name: "EXAMINE", states: withUser, news: newsNone, run: runExamine},
		{name: "CREATE", states: withUser, run: runCreate},
		{name: "DELETE", states: withUser, run: runDelete},
		{name: "RENAME", states: withUser, run: runRename},
		{name: "SUBSCRIBE", states: withUser, run: runSubscribe},
		{name: "UNSUBSCRIBE", states: withUser, run: runUnsubscribe},
		{name: "LIST", states: withUser, run: runList},
		{name: "LSUB", states: withUser, run: runLsub},
		{name: "NAMESPACE", states: withUser, capability: "NAMESPACE", run: runNamespace},
		{name: "STATUS", states: withUser, run: runStatus},
		{name: "APPEND", states: withUser, stream: appendStreams, run: runAppend},
		{name: "IDLE", states: withUser, capability: "IDLE", run: runIdle},
		// With a selected mailbox (section 6.4).
		{name: "CHECK", states: selectedState, run: runNoop},
		{name: "CLOSE", states: selectedState, news: newsNone, run: runClose},
		{name: "UNSELECT", states: selectedState, capability: "UNSELECT", news: newsNone, run: runUnselect},
		{name: "EXPUNGE", states: selectedState, uid: true, run: runExpunge},
		{name: "SEARCH", states: selectedState, uid: true, news: newsButExpunge, run: runSearch},
		{name: "FETCH", states: selectedState, uid: true, news: newsButExpunge, run: runFetch},
		{name: "STORE", states: selectedState, uid: true, news: newsButExpunge, run: runStore},
		{name: "COPY", states: selectedState, uid: true, run: runCopy},
		{name: "MOVE", states: selectedState, uid: true, capability: "MOVE", run: runMove},
	} {
		commands[c.name] = c
	}
}
