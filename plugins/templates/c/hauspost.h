// The plugin interface of Hauspost, version 1, for C without a library:
//
//   1  the limits and errors
//   2  the calls of the host
//   3  reading and writing the messages of plugin_v1.proto
//   4  what most plugins need: settings, header fields, effects
//
// A call gives a length (or 0), or one of the errors below 0. Where a result
// has no room in buf nothing is written and its length is given all the same.
#ifndef HAUSPOST_H
#define HAUSPOST_H

#include <stdbool.h>
#include <stdint.h>

// ---- 1. Limits, in octets, and errors

#define HP_MAX_EVENT 65536u
#define HP_MAX_SETTINGS 65536u
#define HP_MAX_HEADER 262144u
#define HP_MAX_READ 1048576u
#define HP_MAX_REQUEST 65536u
#define HP_MAX_REPLY 98304u
#define HP_MAX_KEY 256u
#define HP_MAX_VALUE 4096u
#define HP_MAX_EFFECTS 100u
#define HP_MAX_TEXT 500u

enum hp_errno {
	HP_INVALID = -1,   // the arguments or the request make no sense
	HP_FAULT = -2,     // buf is not within the memory
	HP_DENIED = -3,    // the owner did not grant it
	HP_NOT_FOUND = -4, // no such part or service, or no reply to give again
	HP_TOO_BIG = -5,   // over a limit
	HP_AGAIN = -6,     // not possible just now
	HP_BUDGET = -7,    // too many requests for one event
	HP_STAGE = -8,     // there is no message at this stage
	HP_IO = -9         // the host failed
};

enum hp_stage { HP_ON_CONNECT = 1, HP_ON_MAIL, HP_ON_RCPT, HP_ON_MESSAGE, HP_ON_SUBMIT, HP_ON_DELIVERY, HP_ON_FEEDBACK, HP_ON_TIMER };
enum hp_view { HP_RAW = 0, HP_DECODED, HP_TEXT, HP_PART_HEADER };
enum hp_kind { HP_SCORE = 1, HP_STOP, HP_TAG, HP_ADD_HEADER, HP_FILE_INTO, HP_COPY, HP_REDIRECT, HP_REQUIRE_TLS, HP_EXEMPT };
enum hp_action { HP_DISCARD = 1, HP_QUARANTINE, HP_TEMPFAIL, HP_REJECT };
enum hp_level { HP_DEBUG = 0, HP_INFO, HP_WARNING, HP_ERROR };

// ---- 2. The calls of the host

// HP_STAGE_FUNCTION begins the function of a stage:
//   HP_STAGE_FUNCTION(on_message) { ...; return 0; }
// It returns 0 where it did its work, anything else where it failed.
#define HP_STAGE_FUNCTION(stage) __attribute__((export_name(#stage))) int32_t stage(void)

#define HP_CALL(name) __attribute__((import_module("hauspost_v1"), import_name(name)))

HP_CALL("event") int32_t hp_event(void *buf, uint32_t room);
HP_CALL("settings") int32_t hp_settings(void *buf, uint32_t room);
HP_CALL("header") int32_t hp_header(void *buf, uint32_t room);
HP_CALL("parts") int32_t hp_parts(void *buf, uint32_t room);
HP_CALL("part_read") int32_t hp_part_read(int32_t part, int32_t view, int64_t offset, void *buf, uint32_t room);
HP_CALL("keys_get") int32_t hp_keys_get(const void *request, uint32_t length, void *buf, uint32_t room);
HP_CALL("keys_change") int32_t hp_keys_change(const void *request, uint32_t length);
HP_CALL("dns") int32_t hp_dns(const void *request, uint32_t length, void *buf, uint32_t room);
HP_CALL("service") int32_t hp_service(const void *request, uint32_t length, void *buf, uint32_t room);
HP_CALL("reply") int32_t hp_reply(void *buf, uint32_t room);
HP_CALL("effects") int32_t hp_effects(const void *request, uint32_t length);
HP_CALL("log") int32_t hp_log(int32_t level, const void *text, uint32_t length);
HP_CALL("clock") int64_t hp_clock(void);
HP_CALL("random") int32_t hp_random(void *buf, uint32_t length);

// ---- 3. Messages, in the wire format of protocol buffers

// hp_slice is a piece of memory, without an end mark.
struct hp_slice {
	const uint8_t *at;
	uint32_t len;
};

static inline uint32_t hp_length(const char *text)
{
	uint32_t n = 0;
	while (text[n])
		n++;
	return n;
}

static inline bool hp_is(struct hp_slice s, const char *text)
{
	uint32_t i = 0;
	for (; i < s.len && text[i]; i++)
		if (s.at[i] != (uint8_t)text[i])
			return false;
	return i == s.len && !text[i];
}

// hp_reader goes through one message; bad tells that it was malformed.
struct hp_reader {
	const uint8_t *at, *end;
	bool bad;
};

// hp_field is one field: a number in value, the bits of a fixed one in value,
// or text, octets or a message in bytes.
struct hp_field {
	uint32_t number;
	uint64_t value;
	struct hp_slice bytes;
};

static inline struct hp_reader hp_read(const void *at, uint32_t len)
{
	struct hp_reader r = {at, (const uint8_t *)at + len, false};
	return r;
}

static inline uint64_t hp_read_varint(struct hp_reader *r)
{
	uint64_t v = 0;
	for (uint32_t shift = 0; shift < 70 && r->at < r->end; shift += 7) {
		uint8_t b = *r->at++;
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80)
			return v;
	}
	r->bad = true;
	return 0;
}

// hp_next reads the next field, and gives false at the end and where the
// message is malformed. Fields that you do not know are to be passed over.
static inline bool hp_next(struct hp_reader *r, struct hp_field *f)
{
	if (r->bad || r->at >= r->end)
		return false;
	uint64_t tag = hp_read_varint(r), len = 0;
	f->number = (uint32_t)(tag >> 3);
	f->value = 0;
	f->bytes.at = r->at;
	f->bytes.len = 0;
	switch (tag & 7) {
	case 0:
		f->value = hp_read_varint(r);
		return !r->bad;
	case 1:
		len = 8;
		break;
	case 2:
		len = hp_read_varint(r);
		break;
	case 5:
		len = 4;
		break;
	default:
		r->bad = true;
	}
	if (r->bad || len > (uint64_t)(r->end - r->at)) {
		r->bad = true;
		return false;
	}
	f->bytes.at = r->at;
	f->bytes.len = (uint32_t)len;
	if ((tag & 7) != 2) {
		for (uint32_t i = 0; i < len; i++)
			f->value |= (uint64_t)r->at[i] << (8 * i);
	}
	r->at += len;
	return true;
}

static inline double hp_double(uint64_t bits)
{
	union {
		uint64_t bits;
		double number;
	} u = {.bits = bits};
	return u.number;
}

// hp_writer collects one message; full tells that there was no room.
struct hp_writer {
	uint8_t *at;
	uint32_t room, len;
	bool full;
};

static inline struct hp_writer hp_write(void *at, uint32_t room)
{
	struct hp_writer w = {at, room, 0, false};
	return w;
}

static inline void hp_put_octet(struct hp_writer *w, uint8_t b)
{
	if (w->len < w->room)
		w->at[w->len++] = b;
	else
		w->full = true;
}

static inline void hp_put_bare(struct hp_writer *w, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		hp_put_octet(w, (uint8_t)v | 0x80);
	hp_put_octet(w, (uint8_t)v);
}

// hp_put_number writes a field of the types int32, int64 and bool.
static inline void hp_put_number(struct hp_writer *w, uint32_t number, int64_t v)
{
	if (v == 0)
		return;
	hp_put_bare(w, (uint64_t)number << 3);
	hp_put_bare(w, (uint64_t)v);
}

static inline void hp_put_double(struct hp_writer *w, uint32_t number, double v)
{
	union {
		double number;
		uint64_t bits;
	} u = {.number = v};
	if (u.bits == 0)
		return;
	hp_put_bare(w, (uint64_t)number << 3 | 1);
	for (int i = 0; i < 8; i++)
		hp_put_octet(w, (uint8_t)(u.bits >> (8 * i)));
}

static inline void hp_put_bytes(struct hp_writer *w, uint32_t number, const void *at, uint32_t len)
{
	hp_put_bare(w, (uint64_t)number << 3 | 2);
	hp_put_bare(w, len);
	for (uint32_t i = 0; i < len; i++)
		hp_put_octet(w, ((const uint8_t *)at)[i]);
}

static inline void hp_put_text(struct hp_writer *w, uint32_t number, const char *text)
{
	uint32_t len = hp_length(text);
	if (len > 0)
		hp_put_bytes(w, number, text, len);
}

// hp_begin and hp_end stand around the fields of a message within a message:
//   uint32_t inner = hp_begin(&w, 1); ...; hp_end(&w, inner);
static inline uint32_t hp_begin(struct hp_writer *w, uint32_t number)
{
	hp_put_bare(w, (uint64_t)number << 3 | 2);
	return w->len;
}

static inline void hp_end(struct hp_writer *w, uint32_t begin)
{
	if (w->full)
		return;
	uint32_t len = w->len - begin, shift = 1;
	for (uint32_t v = len; v >= 0x80; v >>= 7)
		shift++;
	if (shift > w->room - w->len) {
		w->full = true;
		return;
	}
	for (uint32_t i = len; i > 0; i--)
		w->at[begin + shift + i - 1] = w->at[begin + i - 1];
	w->len = begin;
	hp_put_bare(w, len);
	w->len = begin + shift + len;
}

// ---- 4. What most plugins need

// hp_setting finds the first value of a setting in what hp_settings gave.
static inline bool hp_setting(const void *settings, uint32_t len, const char *name, struct hp_slice *value)
{
	struct hp_reader r = hp_read(settings, len);
	struct hp_field f;
	while (hp_next(&r, &f)) {
		if (f.number != 1)
			continue;
		struct hp_reader inner = hp_read(f.bytes.at, f.bytes.len);
		bool named = false;
		while (hp_next(&inner, &f)) {
			if (f.number == 1)
				named = hp_is(f.bytes, name);
			if (f.number == 2 && named) {
				*value = f.bytes;
				return true;
			}
		}
	}
	return false;
}

// hp_number reads "12", "-3" or "2.5"; for anything else it gives otherwise.
static inline double hp_number(struct hp_slice s, double otherwise)
{
	double v = 0, scale = 1;
	bool minus = s.len > 0 && s.at[0] == '-', point = false, digits = false;
	for (uint32_t i = minus ? 1 : 0; i < s.len; i++) {
		if (s.at[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (s.at[i] < '0' || s.at[i] > '9')
			return otherwise;
		digits = true;
		v = v * 10 + (s.at[i] - '0');
		if (point)
			scale *= 10;
	}
	if (!digits)
		return otherwise;
	return minus ? -v / scale : v / scale;
}

static inline uint8_t hp_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

// hp_header_field finds the topmost field of a name in a header. Its value ends
// before the next field: breaks of lines and encoded words are in it as they
// came.
static inline bool hp_header_field(const uint8_t *header, uint32_t len, const char *name, struct hp_slice *value)
{
	uint32_t n = hp_length(name), line = 0;
	while (line < len && header[line] != '\r' && header[line] != '\n') {
		uint32_t i = 0;
		while (i < n && line + i < len && hp_lower(header[line + i]) == hp_lower((uint8_t)name[i]))
			i++;
		bool found = i == n && line + i < len && header[line + i] == ':';
		uint32_t begin = line + i + 1;
		do {
			while (line < len && header[line] != '\n')
				line++;
			line++;
		} while (line < len && (header[line] == ' ' || header[line] == '\t'));
		if (found) {
			value->at = header + begin;
			value->len = (line < len ? line : len) - begin;
			return true;
		}
	}
	return false;
}

// hp_score adds a score to the effects in w; hp_propose sends them.
static inline void hp_score(struct hp_writer *w, const char *symbol, double points, const char *detail)
{
	uint32_t e = hp_begin(w, 1);
	hp_put_number(w, 1, HP_SCORE);
	hp_put_text(w, 2, symbol);
	hp_put_double(w, 3, points);
	hp_put_text(w, 4, detail);
	hp_end(w, e);
}

static inline void hp_stop(struct hp_writer *w, enum hp_action how, const char *symbol, const char *detail)
{
	uint32_t e = hp_begin(w, 1);
	hp_put_number(w, 1, HP_STOP);
	hp_put_text(w, 2, symbol);
	hp_put_text(w, 4, detail);
	hp_put_number(w, 7, how);
	hp_end(w, e);
}

static inline int32_t hp_propose(const struct hp_writer *w)
{
	return w->full ? HP_TOO_BIG : hp_effects(w->at, w->len);
}

#endif
