import PetrelKit
import PetrelSupport

extension [SimulatedStackStorm.User] {
    /// The bot and two users with different permissions.
    package static let demo = [
        SimulatedStackStorm.User(name: "petrel", password: "demo"),
        SimulatedStackStorm.User(name: "alice", password: "demo"),
        SimulatedStackStorm.User(
            name: "bob", password: "demo", forbidden: ["fleet.restart", "backup.run", "core.ask"]),
    ]
}

extension SimulatedContent {
    /// Two small packs for operations.
    package static let demo = SimulatedContent(aliases: demoAliases, actions: demoActions)

    private static let demoAliases: [JSONValue] = [
        alias("core.echo", "Echo a message.", action: "core.echo", formats: ["echo {{ message }}"]),
        alias(
            "fleet.status", "Show the status of a service on its hosts.", action: "fleet.status",
            formats: [.object(["display": "status of <service>", "representation": ["status of {{ service }}"]])],
            ack: ["enabled": false]),
        alias(
            "fleet.restart", "Restart a service, host by host.", action: "fleet.restart",
            formats: [
                .object([
                    "display": "restart <service> on <hosts>",
                    "representation": ["restart {{ service }} on {{ hosts=web1,web2,web3 }}"],
                ])
            ],
            ack: ["format": "Restarting {{ execution.parameters.service }}.", "append_url": true],
            result: ["format": "{{ execution.result.stdout }}"]),
        alias(
            "fleet.drain", "Take a host out of the load balancer.", action: "fleet.drain",
            formats: ["drain {{ host }} for {{ minutes=15 }} minutes"],
            ack: ["format": "Draining {{ execution.parameters.host }} for {{ execution.parameters.minutes }} minutes."],
            result: ["format": "{{ execution.result.stdout }}"]),
        alias(
            "fleet.deploy", "Deploy a service after approval.", action: "fleet.deploy",
            formats: ["deploy {{ service }} {{ version=latest }}"],
            result: ["format": "{{ execution.result.stdout }}"]),
        alias(
            "backup.run", "Back up a database.", action: "backup.run",
            formats: ["backup {{ database }} to {{ target=s3 }}"]),
        alias(
            "backup.verify", "Restore the latest backup and verify it.", action: "backup.verify",
            formats: ["verify backup of {{ database }}"]),
        alias(
            "backup.purge", "Remove old backups.", action: "backup.run", formats: ["purge backups of {{ database }}"],
            isEnabled: false),
    ]

    private static let text: JSONValue = .object(["type": "string", "required": true])

    private static let demoActions: [SimulatedAction] = [
        echo,
        SimulatedAction("fleet.status", parameters: ["service": text]) { run in
            SimulatedFailure.shell(
                stdout: ["web1", "web2", "web3"].map { "\($0)  \(run.text("service"))  up" }.joined(separator: "\n"))
        },
        SimulatedAction(
            "fleet.restart",
            parameters: [
                "service": text, "hosts": .object(["type": "string", "default": "web1,web2,web3"]),
                "batch": .object(["type": "integer", "default": 1]),
            ]
        ) { run in
            let hosts = run.text("hosts").split(separator: ",")
            for host in hosts {
                await run.write("\(host): stopping \(run.text("service"))\n")
                try await run.pause(.milliseconds(400))
                await run.write("\(host): started, healthy\n")
            }
            let count = hosts.count == 1 ? "1 host" : "\(hosts.count) hosts"
            return SimulatedFailure.shell(stdout: "\(run.text("service")) restarted on \(count).")
        },
        SimulatedAction(
            "fleet.drain",
            parameters: ["host": text, "minutes": .object(["type": "integer", "default": 15])]
        ) { run in
            let minutes = run.text("minutes") == "1" ? "1 minute" : "\(run.text("minutes")) minutes"
            return SimulatedFailure.shell(stdout: "\(run.text("host")) takes no new connections for \(minutes).")
        },
        SimulatedAction(
            "fleet.deploy",
            parameters: [
                "service": text, "version": .object(["type": "string", "default": "latest"]),
                "strategy": .object(["type": "string", "enum": ["rolling", "canary"], "default": "rolling"]),
                "replicas": .object(["type": "integer", "description": "Instances to start."]),
                "dry_run": .object(["type": "boolean", "default": false]),
                "registry_token": .object(["type": "string", "secret": true]),
            ], runner: "orquesta"
        ) { run in
            let answer = try await run.ask([
                "type": "object",
                "properties": [
                    "approved": ["type": "boolean", "description": "Approve?", "required": true],
                    "reason": ["type": "string", "description": "Why"],
                ],
            ])
            let what = "\(run.text("service")) \(run.text("version"))"
            guard answer["approved"] == true else {
                throw SimulatedFailure(stderr: "\(what) was not approved: \(answer["reason"]?.string ?? "no reason")")
            }
            return SimulatedFailure.shell(stdout: "\(what) is deployed (\(run.text("strategy"))).")
        },
        SimulatedAction(
            "backup.run",
            parameters: [
                "database": text, "target": .object(["type": "string", "enum": ["s3", "nfs"], "default": "s3"]),
            ]
        ) { run in
            for percent in stride(from: 25, through: 100, by: 25) {
                await run.write("\(run.text("database")): \(percent)%\n")
                try await run.pause(.milliseconds(300))
            }
            return SimulatedFailure.shell(stdout: "\(run.text("database")) is backed up to \(run.text("target")).")
        },
        SimulatedAction("backup.verify", parameters: ["database": text]) { run in
            throw SimulatedFailure(
                stdout: "restoring \(run.text("database"))", stderr: "checksum of table orders differs", code: 3)
        },
    ]

    /// The action `core.echo`.
    package static let echo = SimulatedAction("core.echo", parameters: ["message": text]) { run in
        SimulatedFailure.shell(stdout: run.text("message"))
    }
}
