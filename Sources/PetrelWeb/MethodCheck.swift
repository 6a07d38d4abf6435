import Hummingbird
import PetrelKit

/// The middleware that answers requests with a known path and another method with 405 and the header `Allow`.
struct MethodCheck<Context: RequestContext>: RouterMiddleware {
    let routes: [WebRoute]

    @concurrent func handle(
        _ request: Request, context: Context, next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPError where error.status == .notFound {
            // The router ignores empty parts of a path, such as that after a slash at the end.
            let parts = request.uri.path.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
            guard let refusal = routes.refusal(ofMethodAt: "/" + parts.joined(separator: "/")) else { throw error }
            return Response(refusal)
        }
    }
}
