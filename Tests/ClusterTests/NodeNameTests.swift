import Cluster
import Testing

@Suite("Node names") struct NodeNameTests {
    @Test func `Nodes sort by name`() {
        #expect([NodeName("n2@h"), NodeName("n1@h")].min() == NodeName("n1@h"))
    }
}
