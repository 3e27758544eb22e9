module github.com/kratos-breaker/breaker/e2e

go 1.25.0

require github.com/kratos-breaker/breaker v0.0.0

replace github.com/kratos-breaker/breaker => ../
