package appliance

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rule says what one package may import of ours and what it must never reach,
// directly or through others. Paths are below the module; a rule for a package
// that is not there yet waits for it.
type rule struct {
	pkg string
	// may are the packages of ours that it may import directly; nil means any.
	// An entry that ends in "/..." covers what is below as well.
	may []string
	// never are packages that must not be among its dependencies; direct are
	// packages that it must not import itself.
	never, direct []string
	why           string
}

// Third-party packages in groups.
const (
	sqlite   = "modernc.org/sqlite"
	wazero   = "github.com/tetratelabs/wazero"
	psx      = "kernel.org/pub/linux/libs/security/libcap/psx"
	landlock = "github.com/landlock-lsm/go-landlock"
	gosmtp   = "github.com/emersion/go-smtp"
	goimap   = "github.com/emersion/go-imap/v2"
	miekgDNS = "github.com/miekg/dns"
	bubbles  = "charm.land/bubbletea/v2"
	cobra    = "github.com/spf13/cobra"
)

var none = []string{}

// rules is the table of the design, with the reason of each rule.
var rules = []rule{
	{pkg: "cmd/hauspost", may: []string{"appliance", "appliance/config", "appliance/control", "tui", "recipes"},
		direct: []string{sqlite, wazero, gosmtp, goimap, miekgDNS},
		why:    "the command line sees a box through control.Admin alone, so that all it can do the terminal UI and scripts can do too"},
	{pkg: "appliance", never: []string{"cmd/hauspost", cobra},
		why: "the composition root is used by cmd and knows nothing of flags and output"},
	{pkg: "appliance/envelope", may: none, never: []string{sqlite, miekgDNS},
		why: "it is the vocabulary of all, so it can depend on nobody"},
	{pkg: "appliance/reply", may: none, never: []string{gosmtp, goimap},
		why: "replies are decided everywhere; a protocol library here would be everywhere"},
	{pkg: "appliance/faults", may: none, why: "it is the vocabulary for faults of any file"},
	{pkg: "appliance/config", may: []string{"appliance/envelope", "appliance/faults"}, never: []string{"store", sqlite},
		why: "a config is checked without touching a box"},
	{pkg: "appliance/maillog", may: []string{"appliance/envelope", "appliance/reply"},
		why: "every step logs; the log can depend on no step"},
	{pkg: "appliance/message", may: none, never: []string{sqlite},
		why: "parsing hostile bytes is a pure function that fuzzing reaches"},
	{pkg: "appliance/resolver", may: none,
		why: "the one fence around the DNS library"},
	{pkg: "appliance/senderauth", may: []string{"appliance/resolver", "appliance/envelope"}, never: []string{"store", "plugins/host"},
		why: "facts about a sender are found without knowing what becomes of them"},
	{pkg: "appliance/accounts", may: []string{"store", "appliance/envelope", "appliance/reply"}, never: []string{gosmtp, goimap},
		why: "people are the same for every protocol"},
	{pkg: "appliance/certs", may: []string{"appliance/config"}, never: []string{"store", gosmtp, goimap},
		why: "one TLS policy for all services, which knows nothing of mail"},
	{pkg: "appliance/esmtp", may: []string{"appliance/envelope", "appliance/reply", "appliance/maillog"}, never: []string{"store", sqlite},
		why: "the protocol engine holds no policy"},
	{pkg: "appliance/esmtp/dialogue", may: []string{"appliance/envelope", "appliance/maillog"},
		why: "it plays dialogues against any server, so it knows none"},
	{pkg: "appliance/smtpd", may: []string{"appliance/esmtp", "appliance/envelope", "appliance/reply", "appliance/maillog", "appliance/resolver"},
		never: []string{"appliance/queue", "appliance/relay", "appliance/submit", "store", sqlite},
		why:   "port 25 holds no queue, so a fault in it cannot relay"},
	{pkg: "appliance/submit", may: []string{"appliance/esmtp", "appliance/envelope", "appliance/reply", "appliance/maillog", "appliance/resolver"},
		never: []string{"appliance/smtpd", "appliance/queue", "appliance/relay", "store", sqlite},
		why:   "what is for signed-in senders must not be reachable through port 25, and who signed in is all that it knows of people"},
	{pkg: "appliance/sendmail", may: []string{"appliance/esmtp", "appliance/envelope", "appliance/reply", "appliance/message"},
		never: []string{"store", sqlite, cobra, "appliance/queue", "appliance/relay"},
		why:   "the command of other users of the machine writes a file and touches nothing else of the box"},
	{pkg: "appliance/dkim", may: []string{"store", "appliance/senderauth", "appliance/envelope"}, never: []string{gosmtp, goimap},
		why: "the one owner of the private keys"},
	{pkg: "appliance/transfer", may: []string{"appliance/envelope"},
		why: "queue and relay speak through it and know nothing of each other"},
	{pkg: "appliance/report", may: []string{"appliance/envelope", "appliance/transfer"},
		why: "a report is a pure function of what happened"},
	{pkg: "appliance/deliver", may: []string{"appliance/senderauth", "store", "appliance/envelope", "appliance/reply", "appliance/maillog", "appliance/queue", "appliance/report", "appliance/transfer", "appliance/message"},
		never: []string{gosmtp, goimap, wazero, "appliance/smtpd", "appliance/esmtp", "appliance/imapd"},
		why:   "the decision about a message does not depend on how it came"},
	{pkg: "appliance/queue", may: []string{"store", "appliance/envelope", "appliance/transfer", "appliance/report", "appliance/maillog", "appliance/reply"},
		never: []string{"appliance/relay", "appliance/deliver"}, why: "the schedule does not know how an attempt is made, nor how a report reaches people"},
	{pkg: "appliance/relay", may: []string{"appliance/resolver", "appliance/transfer", "appliance/envelope"},
		never: []string{"appliance/queue", "store", sqlite}, why: "an attempt does not know the schedule"},
	{pkg: "appliance/relay/testnet", never: []string{"store", sqlite, "appliance/queue"},
		why: "the test network is what strangers do; it knows nothing of a box"},
	{pkg: "appliance/imapd", may: []string{"store", "appliance/accounts", "appliance/message", "appliance/maillog", "appliance/envelope", "appliance/reply", "appliance/imapd/..."},
		never: []string{"appliance/deliver", "appliance/queue", "appliance/smtpd", "appliance/esmtp"},
		why:   "mail programs cannot send or deliver through IMAP"},
	{pkg: "appliance/imapd/wire", may: none, never: []string{sqlite},
		why: "the parser meets strangers before they sign in; it reaches nothing"},
	{pkg: "appliance/control", may: []string{"appliance/config", "appliance/envelope"},
		never: []string{"store", sqlite, gosmtp, goimap, miekgDNS},
		why:   "it is all that command line and terminal UI see of a box"},
	{pkg: "appliance/doctor", may: []string{"appliance/resolver", "appliance/config"}, never: []string{"tui"},
		why: "checks are data that every face can show"},
	{pkg: "store", may: none,
		why: "the store keeps what others mean as opaque bytes, so that it outlives them"},
	{pkg: "plugins/abi", may: none, direct: []string{"fmt", "encoding/json", "reflect"},
		why: "the plugin interface is a specification, and guests that import it stay small"},
	{pkg: "plugins/sdk", may: []string{"plugins/abi"}, direct: []string{"fmt", "encoding/json", "reflect"},
		why: "plugin authors import nothing of the host, and their guests stay small"},
	{pkg: "plugins/sdk/sdktest", may: []string{"plugins/abi", "plugins/sdk"}, why: "it is copied into the plugins of others, with abi and sdk"},
	{pkg: "plugins/pack", may: []string{"plugins/abi", "appliance/faults"}, never: []string{wazero, sqlite},
		why: "a package is judged without running it"},
	{pkg: "plugins", may: []string{"plugins/pack"}, why: "it holds files: templates and the bundled packages"},
	{pkg: "plugins/bundle", may: []string{"plugins/pack"}, why: "it packs what make has built"},
	{pkg: "plugins/host", may: []string{"plugins/abi", "plugins/pack", "plugins/host/link"}, never: []string{"appliance", "store", wazero},
		why: "the host of plugins is a wall; what it guards cannot be inside, and no guest runs on this side of it"},
	{pkg: "plugins/host/link", may: []string{"plugins/abi"}, why: "both sides of the wall speak through it"},
	{pkg: "plugins/host/worker", may: []string{"plugins/abi", "plugins/host/link", "plugins/host/jail", "appliance/message"}, never: []string{"appliance", "store", sqlite},
		why: "it runs with strangers' code beside it, so it holds nothing of the box; parsing mail is pure and happens here, behind the wall"},
	{pkg: "plugins/host/jail", may: none, why: "a wall depends on nobody"},
	{pkg: "plugins/headers", may: []string{"plugins/abi", "plugins/sdk"}, why: "a bundled plugin has no more than a stranger's"},
	{pkg: "plugins/hello", may: []string{"plugins/abi", "plugins/sdk"}, why: "a bundled plugin has no more than a stranger's"},
	{pkg: "tui", may: []string{"appliance/control", "appliance/config", "appliance/doctor", "recipes"}, never: []string{"store", sqlite, "plugins/host"},
		why: "a face shows what control tells"},
	{pkg: "recipes", may: none, why: "recipes are data"},
}

// fences are third-party libraries with the only packages of ours that may
// import them: each library can be replaced in one place.
var fences = map[string][]string{
	sqlite:                             {"store"},
	miekgDNS:                           {"appliance/resolver/..."},
	wazero:                             {"plugins/host/worker"},
	landlock:                           {"plugins/host/jail"},
	psx:                                {"plugins/host/jail"},
	gosmtp:                             none,
	"github.com/emersion/go-msgauth":   {"appliance/senderauth"},
	bubbles:                            {"tui"},
	cobra:                              {"cmd/hauspost"},
	"github.com/pelletier/go-toml/v2":  {"appliance/faults", "appliance/config", "plugins/pack"},
	"github.com/coreos/go-systemd/v22": {"appliance"},
	"github.com/xdg-go/scram":          {"appliance/accounts", "appliance/relay/..."},
	"golang.org/x/crypto/argon2":       {"appliance/accounts"},
	"golang.org/x/crypto/acme":         {"appliance/certs"},
	"github.com/emersion/go-imap/v2/imapclient": none,
}

const module = "hauspost"

type goPackage struct {
	ImportPath, Doc string
	Name            string
	Standard        bool
	Imports, Deps   []string
}

// ours lists the packages of the module by their path below it.
func ours(t *testing.T) map[string]goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Name,Doc,Standard,Imports,Deps", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	found := map[string]goPackage{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimPrefix(p.ImportPath, module+"/")] = p
	}
}

// covers tells whether one of patterns names path: itself, or with "/..." also
// what is below.
func covers(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		base, below := strings.CutSuffix(p, "/...")
		return path == base || below && strings.HasPrefix(path, base+"/")
	})
}

// within tells whether import path is target or below it. target is a package
// of ours or of the standard library, exactly, or a third-party package with
// all that is below it.
func within(path, target string) bool {
	if strings.Contains(target, ".") {
		return path == target || strings.HasPrefix(path, target+"/")
	}
	return path == target || path == module+"/"+target
}

// breaches gives what p does against r.
func breaches(r rule, p goPackage) []string {
	var found []string
	for _, imp := range p.Imports {
		if own, is := strings.CutPrefix(imp, module+"/"); is && r.may != nil && !covers(r.may, own) {
			found = append(found, "imports "+own)
		}
		for _, d := range r.direct {
			if within(imp, d) {
				found = append(found, "imports "+imp)
			}
		}
	}
	for _, dep := range p.Deps {
		for _, n := range r.never {
			if within(dep, n) {
				found = append(found, "depends on "+dep)
			}
		}
	}
	return found
}

func TestLayers(t *testing.T) {
	t.Parallel()
	packages := ours(t)
	if len(packages) < 8 {
		t.Fatalf("go list found %d packages of ours", len(packages))
	}
	for _, r := range rules {
		p, there := packages[r.pkg]
		if !there {
			continue
		}
		for _, b := range breaches(r, p) {
			t.Errorf("%s %s, and must not: %s", r.pkg, b, r.why)
		}
	}
	for path, p := range packages {
		for lib, allowed := range fences {
			for _, imp := range p.Imports {
				if within(imp, lib) && !covers(allowed, path) {
					t.Errorf("%s imports %s, which only %v may: it could not be replaced in one place", path, imp, allowed)
				}
			}
		}
		if path != "cmd/hauspost" && slices.Contains(p.Imports, module+"/appliance") {
			t.Errorf("%s imports the composition root, which only cmd/hauspost may", path)
		}
	}
}

// TestEveryPackageHasItsRule holds that nobody adds a package without saying
// what it may import.
func TestEveryPackageHasItsRule(t *testing.T) {
	t.Parallel()
	for path := range ours(t) {
		has := slices.ContainsFunc(rules, func(r rule) bool {
			return path == r.pkg || strings.HasPrefix(path, r.pkg+"/") && r.pkg != "appliance"
		})
		if !has && !strings.HasPrefix(path, "internal/") {
			t.Errorf("%s has no rule in layers_test.go: say what it may import, and why", path)
		}
	}
}

// TestBreachesAreSeen holds that the test of the layers can fail.
func TestBreachesAreSeen(t *testing.T) {
	t.Parallel()
	r := rule{pkg: "a", may: []string{"b", "c/..."}, never: []string{sqlite, "store"}, direct: []string{goimap}}
	p := goPackage{
		Imports: []string{"hauspost/b", "hauspost/c/d", "hauspost/bb", "hauspost/c", goimap + "/imapclient", "fmt"},
		Deps:    []string{"hauspost/store", "hauspost/storeroom", sqlite + "/lib", "fmt"},
	}
	want := []string{"imports bb", "imports " + goimap + "/imapclient", "depends on hauspost/store", "depends on " + sqlite + "/lib"}
	if got := breaches(r, p); !slices.Equal(got, want) {
		t.Errorf("breaches: %q, want %q", got, want)
	}
}

func TestPackageComments(t *testing.T) {
	t.Parallel()
	for path, p := range ours(t) {
		want := "Package " + p.Name
		if p.Name == "main" {
			want = "Command "
		}
		if !strings.HasPrefix(p.Doc, want) {
			t.Errorf("%s has no package comment that says its job (it begins %q)", path, p.Doc)
		}
	}
}
