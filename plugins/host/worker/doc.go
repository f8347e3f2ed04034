// Package worker is the process that runs plugins: the second wall. It reads
// modules, compiles them, keeps instances, serves the host calls of
// plugins/abi, and takes messages apart for all plugins of a chain at once.
//
// It is the only package that imports wazero. It must not import anything of
// the mail process but appliance/message, which is pure, and it must work
// without a network and, once it is ready, without opening a file.
//
// # From a module to an instance
//
//	parseModule   sections, imports and exports; walks all code to see
//	              whether an instance can be set back (poolable)
//	rewrite       the module again, with all its mutable globals exported
//	link          what it imports, against what was granted
//	compile       wazero, with a folder of compiled code that is checked first
//	image         memory and globals after "_initialize"
//	pool          instances that are images again
//
// # One call
//
// A guest runs on a goroutine of its own at full speed and cannot be
// interrupted: the parent measures its time and kills the process. So nothing
// here may need all goroutines to stop while a guest runs; see collector.
package worker
