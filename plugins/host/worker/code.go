package worker

// readCode walks all instructions of a module. It looks for those that change
// what is neither memory nor a global: such a module is run in fresh instances,
// and so is one with instructions that are not known here.
func (m *module) readCode(r *reader) {
	for range r.count() {
		body := reader{b: r.bytes(r.u32())}
		if r.bad {
			return
		}
		locals := uint64(0)
		for range body.count() { // locals: how many of which type
			locals += uint64(body.u32())
			m.valueType(body.byte())
		}
		if locals > maxLocals {
			r.fail() // the compiler makes a list of them
			return
		}
		for body.left() > 0 && m.poolable() {
			m.instruction(&body)
		}
		if body.bad {
			m.fix("it has code that cannot be read")
		}
	}
}

// maxLocals is how many local variables one function may have: as many as in
// browsers.
const maxLocals = 50_000

// valueType looks at the type of a value. There are some, of later versions,
// that are longer than one octet: behind those nothing is where it seems to be.
func (m *module) valueType(typ byte) {
	if !isValueType(typ) {
		m.fix("it has values of types that this box does not know")
	}
}

func isValueType(typ byte) bool {
	return typ >= typeV128 && typ <= typeI32 || typ == typeFunc || typ == typeRef
}

// blockType passes over the type of a block: none, that of a value, or the
// number of a type.
func (m *module) blockType(r *reader) {
	switch first := r.b[min(r.at, len(r.b)-1)]; {
	case first == 0x40 || isValueType(first):
		r.byte()
	case r.s33() < 0:
		m.fix("it has blocks of types that this box does not know")
	}
}

// skipExpression passes over a constant expression with its end.
func (m *module) skipExpression(r *reader) {
	for !r.bad {
		switch op := r.byte(); op {
		case 0x0b: // end
			return
		case 0x23, 0xd2: // global.get, ref.func
			r.u32()
		case 0x41: // i32.const
			r.skipSigned(5)
		case 0x42: // i64.const
			r.skipSigned(10)
		case 0x43: // f32.const
			r.bytes(4)
		case 0x44: // f64.const
			r.bytes(8)
		case 0xd0: // ref.null
			r.byte()
		case 0xfd: // v128.const
			if r.u32() != 12 {
				r.fail()
			}
			r.bytes(16)
		default:
			r.fail()
		}
	}
}

// instruction passes over one instruction of WebAssembly 2.0.
func (m *module) instruction(r *reader) {
	switch op := r.byte(); {
	case op == 0x02 || op == 0x03 || op == 0x04: // block, loop, if
		m.blockType(r)
	case op <= 0x01 || op == 0x05 || op == 0x0b || op == 0x0f || op == 0x1a || op == 0x1b || op == 0xd1:
		// unreachable, nop, else, end, return, drop, select, ref.is_null
	case op == 0x0c || op == 0x0d || op == 0x10 || op == 0xd2: // br, br_if, call, ref.func
		r.u32()
	case op == 0x0e: // br_table
		for range r.count() {
			r.u32()
		}
		r.u32()
	case op == 0x11: // call_indirect
		r.u32()
		r.u32()
	case op == 0x1c: // select with the one type that it can have
		if r.byte() != 1 {
			m.fix("it has instructions that this box does not know")
		}
		m.valueType(r.byte())
	case op >= 0x20 && op <= 0x25: // local.get to table.get
		r.u32()
	case op == 0x26:
		m.fix("it changes a table (table.set)")
	case op >= 0x28 && op <= 0x3e: // loads and stores
		r.u32()
		r.u32()
	case op == 0x3f || op == 0x40: // memory.size, memory.grow
		r.byte()
	case op == 0x41:
		r.skipSigned(5)
	case op == 0x42:
		r.skipSigned(10)
	case op == 0x43:
		r.bytes(4)
	case op == 0x44:
		r.bytes(8)
	case op >= 0x45 && op <= 0xc4: // numeric
	case op == 0xd0: // ref.null
		m.valueType(r.byte())
	case op == 0xfc:
		m.bulk(r)
	case op == 0xfd:
		m.vector(r)
	default:
		m.fix("it has instructions that this box does not know")
	}
}

// bulk passes over an instruction after the prefix 0xfc.
func (m *module) bulk(r *reader) {
	switch op := r.u32(); op {
	case 0, 1, 2, 3, 4, 5, 6, 7: // saturating conversions
	case 8: // memory.init
		m.namesData = true
		r.u32()
		r.byte()
	case 9:
		m.fix("it throws data away (data.drop)")
	case 10: // memory.copy
		r.bytes(2)
	case 11: // memory.fill
		r.byte()
	case 12:
		m.fix("it changes a table (table.init)")
	case 13:
		m.fix("it throws elements away (elem.drop)")
	case 14:
		m.fix("it changes a table (table.copy)")
	case 15:
		m.fix("it changes a table (table.grow)")
	case 16: // table.size
		r.u32()
	case 17:
		m.fix("it changes a table (table.fill)")
	default:
		m.fix("it has instructions that this box does not know")
	}
}

// vector passes over an instruction after the prefix 0xfd. These know memory
// and the stack only. Their number is one in LEB128, of which the compiler reads
// one octet alone: behind the numbers from 128 on it takes the second one, 1, for
// an instruction that does nothing. Any other writing means something else to it
// than it does here.
func (m *module) vector(r *reader) {
	op := r.byte()
	if op >= 0x80 && r.byte() != 1 {
		m.fix("it has instructions that this box does not know")
		return
	}
	switch {
	case op <= 11 || op == 92 || op == 93: // loads and a store
		r.u32()
		r.u32()
	case op == 12 || op == 13: // v128.const, i8x16.shuffle
		r.bytes(16)
	case op >= 21 && op <= 34: // lanes
		r.byte()
	case op >= 84 && op <= 91: // loads and stores of lanes
		r.u32()
		r.u32()
		r.byte()
	}
}
