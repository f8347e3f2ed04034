// Package headers is the plugin that follows the owner's header rules:
//
//	# one rule after the other
//	if Subject contains "invoice" and From ends with "@shop.example" then file into "Shops"
//	"our list": if List-Id is "<choir.example.org>" then file into "Choir", tag "$choir" and stop
//	if not Date exists or Subject contains one of "WIN", "casino" then score 2.5 as LOOKS_ODD
//	if client is "192.0.2.0/24" and size is larger than 10 MB then reject "large mail from there"
//	always add field X-Rule-Seen "yes"
//
// The words may be in any case. A rule begins on a new line with if, always or
// a name in quotes with a colon, and may go on over several lines; # begins a
// remark.
//
//	rule      = [ text ":" ] ( "if" condition "then" | "always" [ "then" ] ) action { ( "and" | "," ) action }
//	condition = part { "and" part } | part { "or" part }
//	part      = test | "not" part | "(" condition ")"
//	test      = subject [ ":" ] verb
//	subject   = [ "header" ] field [ "name" | "address" ] | "sender" | "recipient" | "client" | "helo" | "fact" name | "size"
//	verb      = ( "contains" | "is" | "is not" | "begins with" | "ends with" | "matches" ) values
//	          | "does not" ( "contain" | "begin with" | "end with" | "match" ) values
//	          | "exists" | "does not exist" | "is present" | "is not present" | "is missing" | "is not missing"
//	          | ( "is larger than" | "is smaller than" ) number [ "KB" | "MB" | "GB" ]
//	values    = text | ( "one of" | "any of" ) [ "(" ] text { "," text } [ ")" ]
//	action    = "file into" text | "tag" text | "score" number [ "as" symbol ] | "add field" name text
//	          | "quarantine" [ text ] | "reject" [ text ] | "discard" [ text ] | "copy to" text | "redirect to" text
//	          | "require TLS" | "exempt" | "stop"
//
// A text stands in straight quotes; \" and \\ are a quote and a backslash in it.
// Texts are compared without regard to the case of letters, with header fields
// unfolded, encoded words (RFC 2047) decoded and any white space as one space.
// A test of a field holds where one of the fields of that name passes it. Of a
// field with addresses (From, To …) it is enough that the whole value, one of the
// names or one of the addresses passes; but a text with an @ is compared with
// the addresses alone, and "From name", "From address" say what is meant. In the
// pattern of "matches" * stands for anything and ? for one character.
//
// The rules are parsed for each event: they are few, and a plugin remembers
// nothing between two. Work is bounded: each test looks once at each octet of
// the header, which the host bounds, and there are MaxTests of them at the most;
// patterns with a ? look MaxGlob times at the most.
//
// It imports the SDK and the plugin interface and nothing else of Hauspost.
// The guest is in the folder guest; the logic here is plain Go.
package headers
