// Package pack is a plugin on disk: its manifest, the folder or archive that it
// comes in, its signature, what its owner grants it, and the folder of a box in
// which installed plugins lie, with the lock file that pins them.
//
// It may import plugins/abi, appliance/faults and go-toml. It runs no guest and knows
// nothing of a box: host runs what it loads.
//
// # A package
//
// A package is a folder, or a zip archive NAME-VERSION.hauspost, with
//
//	plugin.toml   the manifest: see Manifest
//	plugin.wasm   the module
//	README.md     for people; may be missing
//	LICENSE       may be missing
//	tests/        NAME.toml and NAME.eml: see Case; may be missing
//	signature     may be missing
//
// In an archive nothing else may be; in a folder anything else (sources) is left
// alone. The digest of a package is the SHA-256 of a list of its files, each with
// its own SHA-256, without the signature. The signature is made over it with an
// Ed25519 key (RFC 8032), so it holds for the folder as well as for the archive.
//
// # Installed
//
// A Folder has one folder for each installed package, and lock.toml: which
// plugins there are, in the order in which they are asked, with their digests
// and what was granted. A package whose files are not those of the lock file is
// not loaded. Every change of a Folder writes what is new beside what is old,
// and then replaces lock.toml: a crash leaves the one or the other.
package pack
