// Package sendmail is the sendmail command of the house and the spool between
// it and the box. The command (Run) reads the arguments that programs have
// given to sendmail for forty years, makes one file of the message, durably,
// and is done: it opens no store and needs no box that runs. The box (Picker)
// takes the files up, completes what only it knows (the domain of "root", a
// missing From), and hands each to its Intake exactly once.
//
// # The two folders
//
// The private folder lies in the data folder: only the box's own user and root
// can write there, and what a file says of its author is believed. The drop
// folder is for everybody else on the machine: all may put a file into it and
// nobody but the box can list it (mode 3733), so every file there is taken for
// what a stranger wrote. Whose it is, is asked of the kernel, and what is not a
// plain file with one name, of the right form and size, is put away in bad/.
//
// The package may import esmtp (to speak SMTP on the standard streams), envelope,
// message and reply. It must not import the store or anything that sends: who
// may use the command holds nothing of the box in his hands.
package sendmail
