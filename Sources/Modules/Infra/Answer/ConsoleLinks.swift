import AWSClient

/// The pages of the AWS console about an instance, in the region and the partition of the instance.
struct ConsoleLinks: Sendable, Hashable {
    /// The page of the instance in EC2.
    let instance: String
    /// The history of its configuration in AWS Config.
    let timeline: String

    /// Creates the links. Returns nil if the partition has no public console.
    init?(_ hit: InfraHit) {
        let (id, region) = (hit.instance.id, hit.place.region)
        guard let console = hit.place.role.partition.console, InfraTerm.isInstanceID(id) else { return nil }
        instance = "https://\(console)/ec2/home?region=\(region)#InstanceDetails:instanceId=\(id)"
        timeline =
            "https://\(console)/config/home?region=\(region)#/resources/timeline"
            + "?resourceId=\(id)&resourceType=AWS%3A%3AEC2%3A%3AInstance"
    }
}
