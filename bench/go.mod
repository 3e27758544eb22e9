module github.com/kratos-breaker/breaker/bench

go 1.25.0

require (
	github.com/failsafe-go/failsafe-go v0.9.8
	github.com/greynewell/mist-go v0.1.0
	github.com/kratos-breaker/breaker v0.0.0
	github.com/sony/gobreaker/v2 v2.4.0
)

require (
	github.com/bits-and-blooms/bitset v1.24.4 // indirect
	github.com/go-kratos/aegis v0.2.0 // indirect
)

replace github.com/kratos-breaker/breaker => ../
