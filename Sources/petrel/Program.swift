import ArgumentParser
import Foundation
import PetrelApp

@main
enum Program {
    static func main() async {
        // What is closed would be given to the next file that is opened, and that be written to.
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            _ = open("/dev/null", O_RDWR)
        }
        await Petrel.main()
    }
}
