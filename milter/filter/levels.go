package filter

import "log/slog"

// The reasons for which mail of ours goes unsigned, beside those of its From field.
const (
	noRule            = "no rule"
	firstKey          = "no key has signed yet"
	keyError          = "key error"
	signedAlready     = "signed already"
	unsignedRecipient = "unsigned recipient"
	notTheSender      = "sender"
)

// unsignedLevels is the log level, by reason, for mail of ours that leaves without a
// signature. A reason that the configuration asks for is only information; LEVELS in
// mailseal.toml(5) has the same table.
var unsignedLevels = map[string]slog.Level{
	noRule:            slog.LevelInfo,
	signedAlready:     slog.LevelInfo,
	unsignedRecipient: slog.LevelInfo,
	notTheSender:      slog.LevelInfo,
	noAuthor:          slog.LevelInfo,
	manyAuthors:       slog.LevelWarn,
	malformedFrom:     slog.LevelWarn,
	firstKey:          slog.LevelWarn,
	keyError:          slog.LevelError,
}

// unsignedLevel is the level of a reason; one that is not in the table is a bug in Mailseal, and
// worth an error.
func unsignedLevel(reason string) slog.Level {
	if level, known := unsignedLevels[reason]; known {
		return level
	}
	return slog.LevelError
}

// The levels of what else may happen to a message.
const (
	levelKeyFailed = slog.LevelError // a key could not be used, whether or not others signed
	levelNotSigned = slog.LevelError // the message is refused since it could not be signed
	levelDisagree  = slog.LevelError // another implementation could not verify the signature
	// another implementation was not asked: it would judge such a message wrongly
	levelUnchecked  = slog.LevelInfo
	levelInvalid    = slog.LevelError // a setting has no valid value, which is a bug in Mailseal
	levelUnsealed   = slog.LevelWarn  // the message was to be sealed, and was not
	levelRuleFailed = slog.LevelError // a rule of the policy could not be evaluated
)
