/// The number of a kind of problem, stable over versions. What begins with `SQL` is the rule engine's and passes through.
package struct ProblemCode: Sendable, Hashable, CustomStringConvertible {
    package let text: String

    package init(_ text: String) { self.text = text }

    package var description: String { text }

    /// The text is not YAML.
    package static let syntax = ProblemCode("YAML001")
    /// A key stands twice in one mapping.
    package static let duplicateKey = ProblemCode("YAML002")
    /// A tab indents a line.
    package static let tab = ProblemCode("YAML003")
    /// An alias names nothing, or aliases expand to too much.
    package static let alias = ProblemCode("YAML004")
    /// A mapping stands where a text is wanted, and the like.
    package static let wrongType = ProblemCode("YAML005")
    /// Bytes that are not UTF-8, or characters YAML does not allow.
    package static let encoding = ProblemCode("YAML006")
    /// The text is larger or deeper than what is read.
    package static let limit = ProblemCode("YAML007")
    /// A tag that means nothing here.
    package static let tag = ProblemCode("YAML008")

    /// A required key is missing.
    package static let missingKey = ProblemCode("KEY001")
    /// A key that means nothing here.
    package static let unknownKey = ProblemCode("KEY002")
    /// A value that is not what the key takes.
    package static let badValue = ProblemCode("KEY003")
    /// A value outside the range.
    package static let outOfRange = ProblemCode("KEY004")
    /// Two keys that exclude each other, or a name that is taken.
    package static let conflict = ProblemCode("KEY005")
    /// A key whose feature does not exist yet.
    package static let notSupported = ProblemCode("KEY006")
    /// A key that is read and has no effect.
    package static let noEffect = ProblemCode("KEY007")

    /// `${env:…}` or `${var:…}` that is not set and has no fallback.
    package static let notSet = ProblemCode("ENV001")
    /// `${file:…}` that cannot be read.
    package static let unreadableFile = ProblemCode("ENV002")
    /// `${…:…}` that looks like a misspelt load-time reference.
    package static let oddReference = ProblemCode("ENV003")

    /// A connector or an action that is not defined.
    package static let unknownReference = ProblemCode("REF001")
    /// A definition nothing uses.
    package static let unusedDefinition = ProblemCode("REF002")
    /// Dead letters that come back to where they left.
    package static let referenceCycle = ProblemCode("REF003")

    /// Republished messages that come back to the rule.
    package static let republishCycle = ProblemCode("REF004")

    /// `${…}` that the rule does not produce.
    package static let templateUnknownField = ProblemCode("TPL001")
    /// `${…}` in a flow mapping without quotes.
    package static let templateNeedsQuotes = ProblemCode("TPL002")
    /// A template that cannot be read.
    package static let templateSyntax = ProblemCode("TPL003")
    /// A template that should give JSON and cannot.
    package static let templateNotJSON = ProblemCode("TPL004")

    /// A secret written out in a file.
    package static let literalSecret = ProblemCode("SEC001")
    /// A peer that is not verified.
    package static let unverifiedPeer = ProblemCode("SEC002")
    /// A listener for everybody, without a word that it is meant.
    package static let openListener = ProblemCode("SEC003")

    /// A test that says nothing the runner can check.
    package static let badTest = ProblemCode("TEST001")
    /// A test whose result is another than expected.
    package static let failedTest = ProblemCode("TEST002")
}

extension ProblemCode {
    /// The codes with what they mean, for the reference page.
    package static let meanings: [(code: ProblemCode, meaning: String)] = [
        (.syntax, "The text is not YAML."),
        (.duplicateKey, "A key stands twice in one mapping."),
        (.tab, "A tab indents a line."),
        (.alias, "An alias names nothing, or aliases expand to too much."),
        (.wrongType, "A mapping stands where a text is wanted, and the like."),
        (.encoding, "Bytes that are not UTF-8, or characters YAML does not allow."),
        (.limit, "The text is larger or deeper than what is read."),
        (.tag, "A tag that means nothing here."),
        (.missingKey, "A required key is missing."),
        (.unknownKey, "A key that means nothing here."),
        (.badValue, "A value that is not what the key takes."),
        (.outOfRange, "A value outside the range."),
        (.conflict, "Two keys that exclude each other, or a name that is taken."),
        (.notSupported, "A key whose feature does not exist yet."),
        (.noEffect, "A key that is read and has no effect."),
        (.notSet, "`${env:…}` or `${var:…}` that is not set and has no fallback."),
        (.unreadableFile, "`${file:…}` that cannot be read."),
        (.oddReference, "`${…:…}` that looks like a misspelt load-time reference."),
        (.unknownReference, "A connector or an action that is not defined."),
        (.unusedDefinition, "A definition nothing uses."),
        (.referenceCycle, "Dead letters that come back to where they left."),
        (.republishCycle, "Republished messages that come back to the rule."),
        (.templateUnknownField, "`${…}` that the rule does not produce."),
        (.templateNeedsQuotes, "`${…}` in a flow mapping without quotes."),
        (.templateSyntax, "A template that cannot be read."),
        (.templateNotJSON, "A template that should give JSON and cannot."),
        (.literalSecret, "A secret written out in a file."),
        (.unverifiedPeer, "A peer that is not verified."),
        (.openListener, "A listener for everybody, without a word that it is meant."),
        (.badTest, "A test that says nothing the runner can check."),
        (.failedTest, "A test whose result is another than expected."),
    ]
}
