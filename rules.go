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
