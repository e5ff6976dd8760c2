import ArgumentParser

/// The version that `--version`, `$SYS` and the start-up line show.
let sluiceVersion = "0.1.0"

@main
struct Sluice: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice", abstract: "An MQTT broker whose messages pass SQL rules.",
        version: sluiceVersion, subcommands: [Start.self, Control.self, Rules.self, Config.self])
}
