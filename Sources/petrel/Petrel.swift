import ArgumentParser

@main
struct Petrel: AsyncParsableCommand {
    func run() async throws {}
}
