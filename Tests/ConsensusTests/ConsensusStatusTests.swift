import Consensus
import Testing

@Suite("Consensus status") struct ConsensusStatusTests {
    @Test func `A replica that has not started knows no leader`() {
        let status = ConsensusStatus()
        #expect(status.state == .unavailable)
        #expect(status.leader == nil && status.leaderID == 0)
    }
}
