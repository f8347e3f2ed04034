// Package envelope holds the words that the house shares when it speaks of a
// message on its way: Address, Envelope, Recipient, Client, Target, Fact,
// Effect, Run, Verdict and Reason. They carry no behaviour beyond parsing,
// printing and comparing.
//
// It must not import anything of ours: every other package may import it.
package envelope
