package breaker

// Rules finds the breaker of a call by rules that may change while calls run,
// and says what the errors of the call mean. Package config makes one of a file.
// The middleware and the transports take one with WithRules.
type Rules interface {
	// Admit asks the breaker of key for a permit; transport is the kind of the
	// client, "http" or "grpc". The classifier is nil if the rule does not say
	// what errors mean; the error is nil or a *RejectedError. It does not block.
	Admit(transport, key string) (Permit, Classifier, error)
}

// Reloads counts what came of changed rules. A [Source] that has rules has a
// method Reloads that returns it.
type Reloads struct {
	// Applied counts the changes that came into force, Unchanged those that
	// said the same in other words, and Rejected those that were not valid or
	// could not be read.
	Applied, Unchanged, Rejected uint64
}
