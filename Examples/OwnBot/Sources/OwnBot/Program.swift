import LockModule
import PetrelApp
import PetrelPlugIns
import UnixBackend

@main
enum Program {
    static func main() async {
        var catalog = Catalog.stock
        catalog.backends.append(UnixPlugIn.self)
        catalog.modules.append(LockPlugIn.self)
        catalog.demo.append(LockDemo.self)
        await PetrelProgram.main(catalog, name: "OwnBot", abstract: "A ChatOps bot that also locks services.")
    }
}
