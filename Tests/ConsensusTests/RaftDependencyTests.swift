import CRaft
import Testing

@Suite("The linked Raft library") struct RaftDependencyTests {
    @Test func `The library is of the line that the guards were written for`() {
        #expect(craft_library_version() / 100 == 22)
    }
}
