// Command my-plugin is a plugin for Hauspost. What it does is in rule.go, where
// it can be tested; stages.go says when.
package main

// A plugin is never run as a program: the functions of stages.go are called.
func main() {}
