// my-plugin scores messages whose subject shouts. It counts the letters A to Z
// of the subject as it came.
#include "hauspost.h"

static uint8_t header[HP_MAX_HEADER];
static uint8_t settings[HP_MAX_SETTINGS];
static uint8_t effects[1024];

static double setting(uint32_t len, const char *name, double otherwise)
{
	struct hp_slice value;
	return hp_setting(settings, len, name, &value) ? hp_number(value, otherwise) : otherwise;
}

HP_STAGE_FUNCTION(on_message)
{
	int32_t header_len = hp_header(header, sizeof header);
	int32_t settings_len = hp_settings(settings, sizeof settings);
	if (header_len < 0 || settings_len < 0)
		return 1;

	struct hp_slice subject;
	if (!hp_header_field(header, (uint32_t)header_len, "Subject", &subject))
		return 0;
	uint32_t letters = 0, capitals = 0;
	for (uint32_t i = 0; i < subject.len; i++) {
		uint8_t c = subject.at[i];
		if (hp_lower(c) >= 'a' && hp_lower(c) <= 'z') {
			letters++;
			capitals += c <= 'Z';
		}
	}
	if (letters < setting((uint32_t)settings_len, "letters", 10) || capitals * 5 < letters * 4)
		return 0;

	struct hp_writer w = hp_write(effects, sizeof effects);
	hp_score(&w, "SUBJECT_SHOUTS", setting((uint32_t)settings_len, "points", 2), "most letters of the subject are capitals");
	return hp_propose(&w) < 0;
}
