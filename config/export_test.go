package config

// Row is a field of the table, for tests.
type Row struct {
	// Path is as in docs/config.md: circuit.failure_rate[].ratio.
	Path, What, Values, ByDefault string
	List                          bool
}

// Rows returns the fields that are no objects, in their order: those that the default
// and a rule may have, and the others.
func Rows() (policy, other []Row) {
	other = append(rowsOf("rules[].", []field{matchField, transportField}), rowsOf("keys.", keyFields)...)
	return rowsOf("", policyFields), other
}

func rowsOf(path string, fields []field) (rows []Row) {
	for _, f := range fields {
		name := path + f.name
		switch {
		case f.read != nil:
			rows = append(rows, Row{name, f.what, f.values, f.byDefault, f.list})
		case f.list:
			rows = append(rows, rowsOf(name+"[].", f.fields)...)
		default:
			rows = append(rows, rowsOf(name+".", f.fields)...)
		}
	}
	return rows
}
