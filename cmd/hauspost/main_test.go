package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"hauspost/appliance/config"
	"hauspost/appliance/control"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hauspost": main})
}

// TestScripts runs the real program in scripts. Beside testscript's commands
// they have:
//
//	code N PROGRAM ARGS...   run it and want that exit code
//	ports                    set OFFSET to a port offset that is free
//	up DIR                   wait until the box on DIR answers
//	term DIR                 send SIGTERM to the box on DIR
//	take PORT                hold a port of 127.0.0.1 until the script ends
//	send PORT FROM TO FILE   hand a message over by SMTP
//	fetch PORT USER PASSWORD print the newest message of INBOX, read by IMAPS
//	nodns DIR                switch off the checks that ask the DNS
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
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code": code, "ports": ports, "up": up, "term": terminate, "take": take,
			"send": send, "fetch": fetch, "nodns": nodns, "traceid": traceid,
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

func ports(ts *testscript.TestScript, _ bool, _ []string) {
	for range 100 {
		// Below the ports that systems give to outgoing connections.
		offset := 11000 + rand.IntN(20000)
		free := true
		for _, port := range []int{config.PortSMTP, config.PortIMAP, config.PortIMAPS} {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+offset))
			if err != nil {
				free = false
				break
			}
			l.Close()
		}
		if !free {
			continue
		}
		ts.Setenv("OFFSET", strconv.Itoa(offset))
		ts.Setenv("SMTP", strconv.Itoa(config.PortSMTP+offset))
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

func take(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:"+args[0])
	ts.Check(err)
	ts.Defer(func() { l.Close() })
}

func send(ts *testscript.TestScript, neg bool, args []string) {
	message := strings.ReplaceAll(ts.ReadFile(args[3]), "\n", "\r\n")
	err := handOver("127.0.0.1:"+args[0], args[1], args[2], message)
	if neg && err != nil {
		fmt.Fprintln(ts.Stdout(), err)
		return
	}
	if neg {
		ts.Fatalf("the message was taken")
	}
	ts.Check(err)
}

// handOver sends a message over TLS, whoever the certificate is for.
func handOver(server, from, to, message string) error {
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
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
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
	c.Checks.DNS = false
	ts.Check(c.Save(dir))
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
