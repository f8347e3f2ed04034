package message

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// ordinary is a mail of about size octets as most are.
func ordinary(size int) []byte {
	var b bytes.Buffer
	b.WriteString(strings.ReplaceAll(`Return-Path: <sender07@example.org>
Received: from mail.example.org (mail.example.org [192.0.2.7])
 by box.example.test with ESMTPS id 01h455vb4pex5vsknk084sn02q
 (TLS1.3 TLS_AES_128_GCM_SHA256); Tue, 03 Feb 2026 09:15:02 +0100
Authentication-Results: box.example.test; spf=pass smtp.mailfrom=example.org
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=k1;
 h=from:to:subject:date:message-id; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;
 b=dGhpcyBpcyBub3QgYSBzaWduYXR1cmUsIGJ1dCBpdCBpcyBhcyBsb25nIGFzIG9uZSBvZiB0aGVtIHdvdWxkIGJl
From: "Sender Seven" <sender07@example.org>
To: Anna Example <anna@example.test>, Bert Example <bert@example.test>
Cc: postmaster@example.test
Subject: The minutes of the meeting of last Thursday
Date: Tue, 3 Feb 2026 09:15:00 +0100
Message-ID: <20260203081500.0001@example.org>
In-Reply-To: <20260202101500.0001@example.test>
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="=_part_00112233"

--=_part_00112233
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

`, "\n", "\r\n"))
	line := 0
	for b.Len() < size/2 {
		line++
		fmt.Fprintf(&b, "Line %d of the text, which goes on for a while and says little.\r\n", line)
	}
	b.WriteString("\r\n--=_part_00112233\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body>\r\n")
	for b.Len() < size {
		line++
		fmt.Fprintf(&b, "<p>Line %d of the text, which goes on for a while.</p>\r\n", line)
	}
	b.WriteString("</body></html>\r\n--=_part_00112233--\r\n")
	return b.Bytes()
}

func BenchmarkIndex(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20} {
		raw := ordinary(size)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				Index(raw)
			}
		})
	}
}

func BenchmarkAppendEnvelope(b *testing.B) {
	blob := Index(ordinary(4 << 10)).Envelope
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		AppendEnvelope(dst, blob, false)
	}
}

func BenchmarkAppendEnvelopeNarrow(b *testing.B) {
	raw := bytes.Replace(ordinary(4<<10), []byte("The minutes"), []byte("Das Übliche"), 1)
	blob := Index(raw).Envelope
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		AppendEnvelope(dst, blob, false)
	}
}

func BenchmarkAppendBodyStructure(b *testing.B) {
	blob := Index(ordinary(4 << 10)).Structure
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		AppendBodyStructure(dst, blob, true, false)
	}
}

func BenchmarkParseStructure(b *testing.B) {
	blob := Index(ordinary(4 << 10)).Structure
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseStructure(blob); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatchText(b *testing.B) {
	raw := ordinary(40 << 10)
	base64 := bytes.Replace(raw, []byte("quoted-printable"), []byte("8bit"), 1)
	for name, raw := range map[string][]byte{"quoted-printable": raw, "identity": base64} {
		blob := Index(raw).Structure
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if MatchText(raw, blob, "not in there", true) {
					b.Fatal("found")
				}
			}
		})
	}
}

func BenchmarkDecodeTransfer(b *testing.B) {
	src := bytes.Repeat([]byte("dGhpcyBpcyBub3QgYSBzaWduYXR1cmUsIGJ1dCBpdCBpcyBhcyBsb25nIGFzIG9uZSBvZiB0\r\n"), 1000)
	dst := make([]byte, 0, len(src))
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if _, err := DecodeTransfer(dst, src, "base64"); err != nil {
			b.Fatal(err)
		}
	}
}
