import PetrelApp
import PetrelPlugIns

@main
enum Program {
    static func main() async { await PetrelProgram.main(.stock) }
}
