package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"hauspost/appliance"
	"hauspost/appliance/config"
	"hauspost/appliance/control"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	// A box that runs in a script starts its workers from this program by the
	// name under which it finds itself.
	if len(os.Args) == 2 && os.Args[1] == appliance.WorkerCommand {
		os.Exit(appliance.PluginWorker())
	}
	testscript.Main(m, map[string]func(){"hauspost": main, "sendmail": main, "mailq": main, "newaliases": main})
}

// TestScripts runs the real program in scripts. Beside testscript's commands
// they have:
//
//	code N PROGRAM ARGS...   run it and want that exit code
//	ports                    set OFFSET to a port offset that is free
//	up DIR                   wait until the box on DIR answers
//	term DIR                 send SIGTERM to the box on DIR
//	shape [DEPTH]            put the JSON of stdout into lines of key and type
//	systemd                  set NOTIFY_SOCKET as systemd does
//	told STATE               wait until systemd was told that
//	send PORT FROM TO FILE   hand a message over by SMTP
//	submit PORT USER PASSWORD FILE TO...  submit a message, signed in
//	tried DIR N              wait until N rows of the queue were tried
//	number RECIPIENT         set NUMBER and ID to the row and message for that one
//	fetch PORT USER PASSWORD print the newest message of INBOX, read by IMAPS
//	nodns DIR                switch off the checks that ask the DNS
//	nowhere DIR              lead all mail for others to a port where nothing listens
//	set KEY = VALUE          set a key of box/hauspost.toml by its last name
//	wasm DIR                 put a module into DIR that does nothing at on_message
//	spoil FILE               change the last octet of a file
//	addsettings FILE MORE    put the file MORE at the end of a file
//	traceid                  set ID to the message that was stored last
//	secret FILE              set SECRET to the last password in FILE
//	nosecret DIR             want SECRET in no file of DIR
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HAUSPOST_DATA", "box")
			e.Setenv("TZ", "UTC")
			e.Setenv("GOCACHE", goCache()) // scripts build plugins
			e.Setenv("LONG", filepath.Join(e.WorkDir, strings.Repeat("long", 30)))
			e.Values[notifications{}] = &sync.Map{}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code": code, "ports": ports, "up": up, "term": terminate, "systemd": systemd, "told": told, "shape": shape,
			"send": send, "submit": submit, "tried": tried, "number": number, "fetch": fetch, "nodns": nodns, "nowhere": nowhere,
			"set": set, "traceid": traceid, "wasm": wasm, "spoil": spoil, "addsettings": addSettings,
			"secret": secret, "nosecret": nosecret,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N PROGRAM ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if want := args[0]; strconv.Itoa(got) != want {
		ts.Fatalf("exit code %d, want %s", got, want)
	}
}

// given are the ports that scripts have got: they run at the same time, and the
// boxes of one listen later than another looks whether their ports are free.
var given sync.Map

func ports(ts *testscript.TestScript, _ bool, _ []string) {
	for range 100 {
		// Below the ports that systems give to outgoing connections.
		offset := 11000 + rand.IntN(20000)
		free := true
		for _, port := range []int{config.PortSMTP, config.PortSubmissions, config.PortSubmission, config.PortIMAP, config.PortIMAPS} {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+offset))
			if err != nil {
				free = false
				break
			}
			if _, taken := given.LoadOrStore(port+offset, true); taken {
				free = false
			}
			l.Close()
		}
		if !free {
			continue
		}
		ts.Setenv("OFFSET", strconv.Itoa(offset))
		ts.Setenv("SMTP", strconv.Itoa(config.PortSMTP+offset))
		ts.Setenv("SUBMISSION", strconv.Itoa(config.PortSubmission+offset))
		ts.Setenv("IMAP", strconv.Itoa(config.PortIMAP+offset))
		ts.Setenv("IMAPS", strconv.Itoa(config.PortIMAPS+offset))
		return
	}
	ts.Fatalf("no free ports")
}

func up(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		client, err := control.Dial(ctx, dir)
		if err == nil {
			_, err = client.Status(ctx)
			client.Close()
		}
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			ts.Fatalf("the box on %s does not come up: %v", args[0], err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func terminate(ts *testscript.TestScript, _ bool, args []string) {
	for _, cmd := range ts.BackgroundCmds() {
		if strings.Contains(strings.Join(cmd.Args, " ")+" ", " --data "+args[0]+" ") {
			ts.Check(cmd.Process.Signal(syscall.SIGTERM))
			return
		}
	}
	ts.Fatalf("no box runs on %s", args[0])
}

// shape prints what programs rely on: which keys there are and of which type,
// without the values, down to a depth.
func shape(ts *testscript.TestScript, _ bool, args []string) {
	depth := 10
	if len(args) > 0 {
		var err error
		depth, err = strconv.Atoi(args[0])
		ts.Check(err)
	}
	lines := map[string]bool{}
	var walk func(path string, v any, depth int)
	walk = func(path string, v any, depth int) {
		switch v := v.(type) {
		case map[string]any:
			if depth == 0 {
				lines[path+" object"] = true
				return
			}
			for k, e := range v {
				walk(path+"."+k, e, depth-1)
			}
		case []any:
			if len(v) == 0 {
				lines[path+"[] empty"] = true
			}
			for _, e := range v {
				walk(path+"[]", e, depth)
			}
		default:
			word := map[string]string{"float64": "number", "bool": "boolean", "<nil>": "null"}[fmt.Sprintf("%T", v)]
			lines[path+" "+cmp.Or(word, fmt.Sprintf("%T", v))] = true
		}
	}
	for d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout"))); ; {
		var v any
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		ts.Check(err)
		walk("", v, depth)
	}
	for _, l := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintln(ts.Stdout(), l)
	}
}

func systemd(ts *testscript.TestScript, _ bool, _ []string) {
	// Its path may not be long, and that of the script may be.
	dir, err := os.MkdirTemp("", "hp")
	ts.Check(err)
	ts.Defer(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	ts.Check(err)
	ts.Defer(func() { c.Close() })
	states := make(chan string, 100)
	go func() {
		defer close(states)
		b := make([]byte, 1000)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			states <- string(b[:n])
		}
	}()
	ts.Value(notifications{}).(*sync.Map).Store(ts.Name(), states)
	ts.Setenv("NOTIFY_SOCKET", path)
}

// notifications is the key under which a script finds what systemd was told.
type notifications struct{}

func told(ts *testscript.TestScript, _ bool, args []string) {
	states, ok := ts.Value(notifications{}).(*sync.Map).Load(ts.Name())
	if !ok {
		ts.Fatalf("there is no systemd")
	}
	limit := time.After(20 * time.Second)
	for {
		select {
		case s := <-states.(chan string):
			if s == args[0] {
				return
			}
		case <-limit:
			ts.Fatalf("systemd was not told %s", args[0])
		}
	}
}

func send(ts *testscript.TestScript, neg bool, args []string) {
	message := strings.ReplaceAll(ts.ReadFile(args[3]), "\n", "\r\n")
	err := handOver("127.0.0.1:"+args[0], nil, args[1], args[2:3], message)
	answered(ts, neg, err)
}

func submit(ts *testscript.TestScript, neg bool, args []string) {
	message := strings.ReplaceAll(ts.ReadFile(args[3]), "\n", "\r\n")
	err := handOver("127.0.0.1:"+args[0], smtp.PlainAuth("", args[1], args[2], "127.0.0.1"), args[1], args[4:], message)
	answered(ts, neg, err)
}

// answered prints why a message was not taken where that was wanted.
func answered(ts *testscript.TestScript, neg bool, err error) {
	if neg && err != nil {
		fmt.Fprintln(ts.Stdout(), err)
		return
	}
	if neg {
		ts.Fatalf("the message was taken")
	}
	ts.Check(err)
}

// handOver sends a message over TLS, whoever the certificate is for; auth may
// be nil.
func handOver(server string, auth smtp.Auth, from string, to []string, message string) error {
	c, err := smtp.Dial(server)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Hello("client.example.org"); err != nil {
		return err
	}
	if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true}); err != nil {
		return err
	}
	if auth != nil {
		if err := c.Auth(auth); err != nil {
			return err
		}
	}
	if err := c.Mail(from); err != nil {
		return err
	}
	for _, rcpt := range to {
		if err := c.Rcpt(rcpt); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, message); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// fetch speaks the least IMAP that will do; imapd has tests of its own.
func fetch(ts *testscript.TestScript, neg bool, args []string) {
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.Dial("tcp", "127.0.0.1:"+args[0])
	ts.Check(err)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(conn)
	for _, line := range []string{
		"a LOGIN \"" + args[1] + "\" \"" + args[2] + "\"", "b SELECT INBOX", "c FETCH * (FLAGS BODY.PEEK[])", "d LOGOUT",
	} {
		fmt.Fprintf(conn, "%s\r\n", line)
		for {
			answer, err := r.ReadString('\n')
			ts.Check(err)
			fmt.Fprint(ts.Stdout(), strings.ReplaceAll(answer, "\r", ""))
			if !strings.HasPrefix(answer, line[:2]) {
				continue
			}
			if ok := strings.HasPrefix(answer, line[:2]+"OK"); ok && neg && line[0] == 'a' || !ok && !neg {
				ts.Fatalf("%s: %s", line[:2], answer)
			} else if !ok {
				return
			}
			break
		}
	}
}

func nodns(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	c, err := config.Load(dir)
	ts.Check(err)
	c.Checks.DNS, c.Submission.CheckDomains = false, false
	ts.Check(c.Save(dir))
}

func nowhere(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	c, err := config.Load(dir)
	ts.Check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	l.Close() // nothing listens at its port now
	c.Routes = []config.Route{{To: []string{"*"}, Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}}
	ts.Check(c.Save(dir))
}

func tried(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client, err := control.Dial(ctx, ts.MkAbs(args[0]))
	ts.Check(err)
	defer client.Close()
	for {
		list, err := client.Queue(ctx, control.QueueQuery{})
		ts.Check(err)
		n := 0
		for _, r := range list.Rows {
			if r.Attempts > 0 && r.State != control.QueueActive {
				n++
			}
		}
		if n == want {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func set(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs("box/hauspost.toml")
	line := regexp.MustCompile(`(?m)^#?` + args[0] + ` = .*$`)
	data := ts.ReadFile(file)
	if found := line.FindAllString(data, -1); len(found) != 1 {
		ts.Fatalf("%d lines set %s", len(found), args[0])
	}
	ts.Check(os.WriteFile(file, []byte(line.ReplaceAllLiteralString(data, args[0]+" = "+args[2])), 0o600))
}

func number(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("hauspost", "queue", "list", "--json"))
	var list control.QueueList
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &list))
	for _, r := range list.Rows {
		if r.Recipient == args[0] {
			ts.Setenv("NUMBER", strconv.FormatInt(r.Number, 10))
			ts.Setenv("ID", r.Message)
			return
		}
	}
	ts.Fatalf("nothing in the queue is for %s", args[0])
}

func traceid(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(ts.Exec("hauspost", "log", "--json"))
	ids := regexp.MustCompile(`"id":"(\w{26})"[^\n]*"step":"stored"`).FindAllStringSubmatch(ts.ReadFile("stdout"), -1)
	if len(ids) == 0 {
		ts.Fatalf("the log tells of no stored message")
	}
	ts.Setenv("ID", ids[len(ids)-1][1])
}

func secret(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(`has the password (\S+)`).FindAllStringSubmatch(ts.ReadFile(args[0]), -1)
	if len(found) == 0 {
		ts.Fatalf("no password is in %s", args[0])
	}
	ts.Setenv("SECRET", found[len(found)-1][1])
}

func nosecret(ts *testscript.TestScript, _ bool, args []string) {
	secret, files := []byte(ts.Getenv("SECRET")), 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if files++; bytes.Contains(data, secret) {
			return fmt.Errorf("%s holds the password", path)
		}
		return err
	}))
	if files == 0 {
		ts.Fatalf("there are no files in %s", args[0])
	}
}
