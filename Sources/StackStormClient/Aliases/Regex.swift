import PetrelSupport

/// A regular expression with the semantics of Python's `re`, matched in linear time.
///
/// The matcher backtracks, but never tries the same branch at the same position twice: without back-references, a
/// branch that has failed at a position fails again. The order of trials is that of Python, so the matches are the
/// same.
struct Regex: Sendable {
    enum Instruction: Sendable {
        case character(UInt32)
        case any
        case set(ScalarSet)
        /// Tries the first target, then the second. The index identifies the choice.
        case split(first: Int, second: Int, index: Int)
        case jump(Int)
        case save(Int)
        case assertBegin
        case assertEnd
        case assertAbsoluteEnd
        case assertBoundary(Bool)
        case assertAhead(ScalarSet, Bool)
        case assertBehind(ScalarSet, Bool)
        case match
    }

    static let largestProgram = 20_000

    let program: [Instruction]
    let names: [String?]
    let splits: Int
    /// True if the expression can match only at the start of the text.
    let isAnchored: Bool

    init(_ pattern: String, dotAll: Bool = true) throws(RegexError) {
        try self.init(RegexParser.parse(pattern, dotAll: dotAll))
    }

    init(_ parsed: RegexParser.Result) throws(RegexError) {
        var compiler = Compiler()
        try compiler.emit(.group(0, parsed.node))
        compiler.program.append(.match)
        program = compiler.program
        names = parsed.names
        splits = compiler.splits
        if case .sequence(let items) = parsed.node, items.first == .assertion(.begin) {
            isAnchored = true
        } else {
            isAnchored = false
        }
    }

    private struct Compiler {
        var program: [Instruction] = []
        var splits = 0

        mutating func emit(_ node: RegexNode) throws(RegexError) {
            guard program.count < Regex.largestProgram else { throw .unsupported("a pattern of this size") }
            switch node {
            case .character(let value): program.append(.character(value))
            case .any: program.append(.any)
            case .set(let set): program.append(.set(set))
            case .assertion(let assertion): emit(assertion)
            case .sequence(let items): for item in items { try emit(item) }
            case .group(let number, let inner):
                program.append(.save(2 * number))
                try emit(inner)
                program.append(.save(2 * number + 1))
            case .alternatives(let options): try emit(options)
            case .loop(let inner, let minimum, let maximum, let isGreedy):
                let before = program.count
                for _ in 0..<minimum {
                    try emit(inner)
                    // An expression of nothing, such as `(?:)`, is not repeated: nested repeats would never end.
                    if program.count == before { break }
                }
                if let maximum {
                    try emitOptional(inner, times: maximum - minimum, isGreedy)
                } else {
                    try emitStar(inner, isGreedy)
                }
            }
        }

        private mutating func emit(_ assertion: RegexNode.Assertion) {
            switch assertion {
            case .begin: program.append(.assertBegin)
            case .end: program.append(.assertEnd)
            case .absoluteEnd: program.append(.assertAbsoluteEnd)
            case .wordBoundary: program.append(.assertBoundary(true))
            case .noWordBoundary: program.append(.assertBoundary(false))
            case .ahead(let set, let isIn): program.append(.assertAhead(set, isIn))
            case .behind(let set, let isIn): program.append(.assertBehind(set, isIn))
            }
        }

        private mutating func emit(_ options: [RegexNode]) throws(RegexError) {
            var ends: [Int] = []
            for option in options.dropLast() {
                let split = placeholder()
                try emit(option)
                ends.append(program.count)
                program.append(.match)
                close(split, preferring: true, to: program.count)
            }
            if let last = options.last { try emit(last) }
            for end in ends { program[end] = .jump(program.count) }
        }

        private mutating func emitStar(_ inner: RegexNode, _ isGreedy: Bool) throws(RegexError) {
            // An empty iteration would return to the same position, where its trials could not be told from earlier
            // ones.
            if inner.mayBeEmpty { throw .unsupported("a repetition of an expression that can match the empty string") }
            let split = placeholder()
            try emit(inner)
            program.append(.jump(split))
            close(split, preferring: isGreedy, to: program.count)
        }

        private mutating func emitOptional(_ inner: RegexNode, times: Int, _ isGreedy: Bool) throws(RegexError) {
            var starts: [Int] = []
            for _ in 0..<times {
                starts.append(placeholder())
                try emit(inner)
            }
            for split in starts { close(split, preferring: isGreedy, to: program.count) }
        }

        private mutating func placeholder() -> Int {
            program.append(.match)
            return program.count - 1
        }

        private mutating func close(_ split: Int, preferring body: Bool, to end: Int) {
            program[split] = .split(first: body ? split + 1 : end, second: body ? end : split + 1, index: splits)
            splits += 1
        }
    }
}

extension Regex {
    /// The memory of a search. It is kept over several searches of the same text with the same expression, so that all
    /// of them together take linear time.
    struct Memory {
        fileprivate var tried: [UInt64] = []
        fileprivate var stack: [(pc: Int, position: Int)] = []
        fileprivate var slots: [Int] = []
        fileprivate var size = 0

        init() {}

        fileprivate mutating func prepare(_ regex: Regex, length: Int) {
            size = length + 1
            let words = (regex.splits * size + 63) / 64
            tried.removeAll(keepingCapacity: true)
            tried.append(contentsOf: repeatElement(0, count: words))
            stack.removeAll(keepingCapacity: true)
        }
    }

    /// Returns the first match: the start and end of each group by number, or -1 if the group did not take part.
    func firstMatch(in text: [UInt32], memory: inout Memory) -> [Int]? {
        memory.prepare(self, length: text.count)
        return search(text, from: 0, memory: &memory)
    }

    /// Returns all matches that do not overlap, from left to right.
    func allMatches(in text: [UInt32]) -> [[Int]] {
        var memory = Memory()
        memory.prepare(self, length: text.count)
        var matches: [[Int]] = []
        var start = 0
        while start <= text.count, let match = search(text, from: start, memory: &memory) {
            matches.append(match)
            // Trials beyond the match have failed and stay marked; those at its end were part of the match.
            for index in 0..<splits { memory.forget(index * memory.size + match[1]) }
            start = match[1] > match[0] ? match[1] : match[1] + 1
        }
        return matches
    }

    private func search(_ text: [UInt32], from start: Int, memory: inout Memory) -> [Int]? {
        let last = isAnchored ? 0 : text.count
        guard start <= last else { return nil }
        return text.withUnsafeBufferPointer { text in
            for position in start...last {
                if run(text, from: position, &memory) { return memory.slots }
            }
            return nil
        }
    }

    /// Tries to match at one position. On success, the slots contain the groups.
    private func run(_ text: UnsafeBufferPointer<UInt32>, from start: Int, _ memory: inout Memory) -> Bool {
        memory.slots.removeAll(keepingCapacity: true)
        memory.slots.append(contentsOf: repeatElement(-1, count: names.count * 2))
        memory.stack.removeAll(keepingCapacity: true)
        memory.stack.append((0, start))
        let end = text.count
        return program.withUnsafeBufferPointer { program in
            while let job = memory.stack.popLast() {
                // A negative program counter restores a slot during backtracking.
                if job.pc < 0 {
                    memory.slots[~job.pc] = job.position
                    continue
                }
                var pc = job.pc
                var position = job.position
                trial: while true {
                    switch program[pc] {
                    case .character(let value):
                        guard position < end, text[position] == value else { break trial }
                        position += 1
                        pc += 1
                    case .any:
                        guard position < end else { break trial }
                        position += 1
                        pc += 1
                    case .set(let set):
                        guard position < end, set.contains(text[position]) else { break trial }
                        position += 1
                        pc += 1
                    case .split(let first, let second, let index):
                        guard memory.visit(index * memory.size + position) else { break trial }
                        memory.stack.append((second, position))
                        pc = first
                    case .jump(let target): pc = target
                    case .save(let slot):
                        memory.stack.append((~slot, memory.slots[slot]))
                        memory.slots[slot] = position
                        pc += 1
                    case .assertBegin:
                        guard position == 0 else { break trial }
                        pc += 1
                    case .assertEnd:
                        guard position == end || (position == end - 1 && text[position] == 10) else { break trial }
                        pc += 1
                    case .assertAbsoluteEnd:
                        guard position == end else { break trial }
                        pc += 1
                    case .assertBoundary(let wanted):
                        let before = position > 0 && ScalarSet.isWord(text[position - 1])
                        let after = position < end && ScalarSet.isWord(text[position])
                        guard (before != after) == wanted else { break trial }
                        pc += 1
                    case .assertAhead(let set, let isIn):
                        guard (position < end && set.contains(text[position])) == isIn else { break trial }
                        pc += 1
                    case .assertBehind(let set, let isIn):
                        guard (position > 0 && set.contains(text[position - 1])) == isIn else { break trial }
                        pc += 1
                    case .match: return true
                    }
                }
            }
            return false
        }
    }
}

extension Regex.Memory {
    /// Marks a choice at a position as tried. Returns false if it was tried before.
    @inline(__always)
    fileprivate mutating func visit(_ bit: Int) -> Bool {
        let mask = UInt64(1) << UInt64(bit & 63)
        if tried[bit >> 6] & mask != 0 { return false }
        tried[bit >> 6] |= mask
        return true
    }

    fileprivate mutating func forget(_ bit: Int) {
        guard bit >> 6 < tried.count else { return }
        tried[bit >> 6] &= ~(UInt64(1) << UInt64(bit & 63))
    }
}

extension RegexNode {
    /// True if the expression can match the empty string.
    fileprivate var mayBeEmpty: Bool {
        switch self {
        case .character, .any, .set: false
        case .assertion: true
        case .sequence(let items): items.allSatisfy(\.mayBeEmpty)
        case .alternatives(let options): options.contains(where: \.mayBeEmpty)
        case .group(_, let inner): inner.mayBeEmpty
        case .loop(let inner, let minimum, _, _): minimum == 0 || inner.mayBeEmpty
        }
    }
}
