package main

import (
	"strconv"
	"unicode"

	"hauspost/plugins/sdk"
)

// check scores messages whose subject shouts.
func check(c *sdk.Call) error {
	header, err := c.Header()
	if err != nil {
		return err
	}
	settings := c.Settings()
	letters, capitals := count(header.Text("Subject"))
	if float64(letters) < settings.Number("letters", 10) || capitals*5 < letters*4 {
		return nil
	}
	c.Score("SUBJECT_SHOUTS", settings.Number("points", 2),
		strconv.Itoa(capitals)+" of "+strconv.Itoa(letters)+" letters of the subject are capitals")
	return nil
}

// count counts the letters of a text, and the capitals among them. Scripts
// without capitals do not count.
func count(text string) (letters, capitals int) {
	for _, r := range text {
		switch {
		case unicode.IsUpper(r):
			letters++
			capitals++
		case unicode.IsLower(r):
			letters++
		}
	}
	return letters, capitals
}
