#if canImport(CMalloc)
    import CMalloc
#endif

/// How the process uses memory.
enum Memory {
    /// One pool for all threads: with many of them, what one has freed is of no use to the others.
    static func setUp() {
        #if canImport(CMalloc)
            mallopt(M_ARENA_MAX, 1)
        #endif
    }

    /// Gives back to the system what a burst has left free.
    static func trim() {
        #if canImport(CMalloc)
            malloc_trim(0)
        #endif
    }
}
