#if canImport(CMalloc)
    import CMalloc
#endif

/// Settings of the memory allocator (glibc).
enum Memory {
    /// Limits the allocator to one arena, because memory that is freed in one arena cannot be used by others.
    static func setUp() {
        #if canImport(CMalloc)
            mallopt(M_ARENA_MAX, 1)
        #endif
    }

    /// Returns free memory to the system, for example after a burst.
    static func trim() {
        #if canImport(CMalloc)
            malloc_trim(0)
        #endif
    }
}
