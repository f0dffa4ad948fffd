//! What each write and read answers, rule by rule.

use crate::script::{check, check_with, options};
use bellwether_tree::{Tree, TreeOptions};
use bellwether_wire::OwnerFormat;

#[test]
fn a_new_tree_has_the_system_nodes() {
    let tree = Tree::new(options());
    // What Apache's `srvr` and `mntr` say of a new server.
    assert_eq!((tree.node_count(), tree.approximate_data_size()), (5, 44));
    assert_eq!((tree.ephemerals_count(), tree.sessions_count()), (0, 0));
    check(
        "s1 ls /            => zookeeper
         s1 ls /zookeeper   => config quota
         s1 getacl /        => world:anyone:31 av=0
         s1 getacl /zookeeper/config => world:anyone:1 av=-1",
    );
}

#[test]
fn the_empty_path_is_the_root_for_reads() {
    check(
        "s1 ls ''      => zookeeper
         s1 exists ''  => v=0 cv=-1 av=0 kids=1
         s1 exists /   => v=0 cv=-1 av=0 kids=1
         s1 count /    => 3
         s1 count ''   => 4
         s1 count /zookeeper => 2",
    );
}

#[test]
fn create_answers_the_path_and_create2_the_stat_too() {
    check(
        "s1 create /a data=x      => /a
         s1 create /a             => NODEEXISTS
         s1 create /a/b/c         => NONODE
         s1 create2 /a/b data=xyz => /a/b v=0 cv=0 av=0
         s1 get /a/b              => xyz v=0 cv=0 av=0
         s1 get /a                => x v=0 cv=1 av=0 kids=1
         s1 create /null          => /null
         s1 get /null             => null v=0 cv=0 av=0",
    );
}

#[test]
fn the_root_exists_and_its_children_count() {
    check(
        "s1 create /           => NODEEXISTS
         s1 create / flags=2   => /0000000000
         s1 create /x          => /x
         s1 delete /x
         s1 exists /           => v=0 cv=2 av=0 kids=2
         s1 set / data=r       => v=1 cv=2 av=0 kids=2
         s1 set '' data=r      => BADARGUMENTS",
    );
}

#[test]
fn a_path_that_cannot_be_is_refused_where_apache_looks() {
    check(
        "s1 create a        => BADARGUMENTS
         s1 create ''       => BADARGUMENTS
         s1 create /a/      => NONODE
         s1 create /zookeeper/   => BADARGUMENTS
         s1 create //x      => BADARGUMENTS
         s1 create /a\u{1}  => BADARGUMENTS
         s1 create /a\0     => BADARGUMENTS
         s1 create /..      => BADARGUMENTS
         s1 set a           => BADARGUMENTS
         s1 set /a/         => BADARGUMENTS
         s1 setacl /a//b    => BADARGUMENTS
         s1 delete a        => BADARGUMENTS
         s1 delete /a/      => NONODE
         s1 delete /a//b    => NONODE
         s1 exists /a\0     => BADARGUMENTS
         s1 get /a\0        => NONODE",
    );
}

#[test]
fn a_sequential_name_counts_the_creates_of_its_parent() {
    check(
        "s1 create /q           => /q
         s1 create /q/n- flags=2 => /q/n-0000000000
         s1 create /q/x          => /q/x
         s1 create /q/n- flags=3 => /q/n-0000000002
         s1 delete /q/x
         s1 create /q/ flags=2   => /q/0000000003
         s1 create2 /q/m flags=3 => /q/m0000000004 v=0 cv=0 av=0 owner=s1",
    );
}

#[test]
fn flags_are_judged_first() {
    check(
        "s9 create /a flags=7         => BADARGUMENTS
         s9 create a flags=5          => BADARGUMENTS
         s9 create a                  => UNKNOWNSESSION
         s9 create a flags=1          => SESSIONEXPIRED
         s1 create a acl=null         => BADARGUMENTS
         s1 create /no/no acl=null    => INVALIDACL
         s1 create /no/no             => NONODE",
    );
}

#[test]
fn ttl_nodes_need_the_setting_and_a_time_in_range() {
    check(
        "s1 ttl /t flags=5 ttl=1000     => /t v=0 cv=0 av=0
         s1 ttl /t flags=6 ttl=1        => /t0000000001 v=0 cv=0 av=0
         s1 ttl /u flags=5 ttl=0        => BADARGUMENTS
         s1 ttl /u flags=5 ttl=-1       => BADARGUMENTS
         s1 ttl /u flags=5 ttl=1099511627775 => /u v=0 cv=0 av=0
         s1 ttl /v flags=5 ttl=1099511627776 => BADARGUMENTS
         s1 ttl /v flags=0 ttl=5        => BADARGUMENTS
         s1 ttl /v flags=0 ttl=-1       => BADARGUMENTS
         s1 create /v flags=5           => BADARGUMENTS
         s1 create /t/child             => /t/child",
    );
    let owner_format = OwnerFormat::default();
    check_with(
        &TreeOptions { owner_format, ..options() },
        "s9 ttl a flags=5 ttl=0      => UNIMPLEMENTED
         s1 create /v flags=5        => UNIMPLEMENTED
         s1 ttl /v flags=0 ttl=5     => BADARGUMENTS",
    );
}

#[test]
fn containers_are_a_kind_of_their_own() {
    check(
        "s1 container /c              => /c v=0 cv=0 av=0
         s1 createContainer /d        => /d v=0 cv=0 av=0
         s1 create /p flags=4         => /p
         s1 create /c/x               => /c/x
         s1 reap /c                   => NOTEMPTY
         s1 delete /c/x
         s1 reap /c
         s1 reap /c                   => NONODE
         s1 reap /d
         s1 reap /p                   => BADVERSION
         s1 reap /                    => BADARGUMENTS
         s1 reap /zookeeper           => BADARGUMENTS",
    );
}

#[test]
fn ephemeral_nodes_have_no_children_and_end_with_their_session() {
    check(
        "s1 create /e flags=1   => /e
         s1 create /e/x         => NOCHILDRENFOREPHEMERALS
         s2 create /f flags=1   => /f
         s1 reap /e             => BADVERSION
         s1 ephemerals /        => /e
         s1 close
         s1 create /x flags=1   => SESSIONEXPIRED
         s2 ls /                => f zookeeper
         s1 ephemerals /        => ",
    );
}

#[test]
fn get_ephemerals_takes_a_prefix_of_text() {
    check(
        "s1 create /ab flags=1  => /ab
         s1 create /ac flags=1  => /ac
         s1 create /b flags=1   => /b
         s1 ephemerals /a       => /ab /ac
         s1 ephemerals ''       => /ab /ac /b
         s1 ephemerals /c       => 
         s2 ephemerals /        => ",
    );
}

#[test]
fn closing_deletes_what_is_there_when_it_is_applied() {
    check(
        "s1 create /kept          => /kept
         s1 create /kept/e flags=1 => /kept/e
         s1 create /gone flags=1  => /gone
         s2 delete /gone
         s2 create /gone flags=1  => /gone
         s1 close
         s2 delete /kept
         s2 ls /                  => gone zookeeper",
    );
}

#[test]
fn a_closed_session_that_was_applied_is_unknown() {
    check(
        "s1 close
         s1 exists /              => v=0 cv=-1 av=0 kids=1
         s1 create /x             => UNKNOWNSESSION
         s1 create /x flags=1     => SESSIONEXPIRED
         s1 delete /x             => UNKNOWNSESSION",
    );
}

#[test]
fn delete_looks_at_permission_version_and_children_in_this_order() {
    check(
        "s1 create /p acl=world:rc          => /p
         s1 create /p/a                     => /p/a
         s1 delete /p/none                  => NOAUTH
         s1 delete /none/x                  => NONODE
         s1 create /q                       => /q
         s1 create /q/a                     => /q/a
         s1 delete /q v=7                   => BADVERSION
         s1 delete /q                       => NOTEMPTY
         s1 delete /q/a v=0
         s1 delete /q v=0
         s9 delete /q                       => UNKNOWNSESSION
         s9 delete q                        => UNKNOWNSESSION
         s0 delete /p/a",
    );
}

#[test]
fn the_system_nodes_cannot_be_deleted() {
    check(
        "s0 delete /                  => BADARGUMENTS
         s0 delete ''                 => BADARGUMENTS
         s0 delete /zookeeper         => BADARGUMENTS
         s0 delete /zookeeper/quota   => BADARGUMENTS
         s0 delete /zookeeper/config  => BADARGUMENTS
         s1 set /zookeeper/config     => NOAUTH
         s0 set /zookeeper/config     => v=1 cv=0 av=-1
         s1 create /zookeeper/mine    => /zookeeper/mine
         s1 delete /zookeeper/mine",
    );
}

#[test]
fn set_data_compares_and_counts_versions() {
    check(
        "s1 create /a data=x      => /a
         s1 set /a data=y v=1     => BADVERSION
         s1 set /a data=y v=0     => v=1 cv=0 av=0
         s1 set /a v=-1           => v=2 cv=0 av=0
         s1 get /a                => null v=2 cv=0 av=0
         s1 set /none             => NONODE
         s2 setacl /a acl=world:r => v=2 cv=0 av=1
         s1 set /a v=7            => NOAUTH",
    );
}

#[test]
fn set_acl_counts_aversion_and_nothing_else() {
    check(
        "s2 create /a                           => /a
         s2 setacl /a acl=bad-x:r               => INVALIDACL
         s2 setacl /none acl=null               => INVALIDACL
         s2 setacl /none                        => NONODE
         s2 setacl /a acl=auth:rwa v=1          => BADVERSION
         s2 setacl /a acl=auth:rwa v=0          => v=0 cv=0 av=1
         s1 setacl /a                           => NOAUTH
         s1 getacl /a                           => NOAUTH
         s2 getacl /a                           => digest:s2:hash:19 av=1
         s2 setacl /a acl=world:r,digest-s2:ra  => v=0 cv=0 av=2
         s1 getacl /a                           => world:anyone:1,digest:s2:x:17 av=2
         s2 getacl /a                           => world:anyone:1,digest:s2:hash:17 av=2",
    );
}

#[test]
fn a_new_acl_must_be_possible() {
    check(
        "s1 create /a acl=            => INVALIDACL
         s1 create /a acl=null        => INVALIDACL
         s1 create /a acl=auth:r      => INVALIDACL
         s1 create /a acl=world-me:r  => INVALIDACL
         s1 create /a acl=ip-10.0.0.0/8:r,ip-10.0.0.0/8:r => /a
         s1 getacl /a                 => ip:10.0.0.0/8:1 av=0
         s2 create /b acl=auth:r      => /b
         s2 getacl /b                 => digest:s2:x:1 av=0",
    );
}

#[test]
fn permissions_are_asked_of_the_right_node() {
    check(
        "s1 create /p acl=ip-10.0.0.1:c,digest-s2:d => /p
         s1 create /p/a acl=ip-10.0.0.1:w           => /p/a
         s1 set /p/a                                => v=1 cv=0 av=0
         s1 get /p/a                                => NOAUTH
         s1 exists /p/a                             => NOAUTH
         s1 exists /p/none                          => NONODE
         s1 ls /p                                   => NOAUTH
         s1 ls2 /p                                  => NOAUTH
         s1 count /p                                => NOAUTH
         s1 delete /p/a                             => NOAUTH
         s2 delete /p/a
         s2 create /p/b                             => /p/b
         s0 get /p                                  => null v=0 cv=3 av=0 kids=1",
    );
}

#[test]
fn without_acl_checks_everybody_may_but_acls_must_still_be_possible() {
    check_with(
        &TreeOptions { skip_acl: true, ..options() },
        "s2 create /a acl=auth:r     => /a
         s1 set /a                   => v=1 cv=0 av=0
         s1 getacl /a                => digest:s2:hash:1 av=0
         s1 create /b acl=bad-x:r    => INVALIDACL",
    );
}

#[test]
fn a_multi_is_all_or_nothing() {
    check(
        "s1 multi create /a ; create2 /a/b ; set /a data=x ; check /a v=1 ; delete /a/b => /a ; /a/b v=0 cv=0 av=0 ; v=1 cv=1 av=0 kids=1 ; checked ; deleted
         s1 multi create /c ; set /a v=7 ; create /d => OK ; BADVERSION ; RUNTIMEINCONSISTENCY
         s1 ls /               => a zookeeper
         s1 multi              => 
         s1 multi check /a v=7 => BADVERSION
         s1 multi check /a v=1 => checked
         s9 multi create /x    => UNKNOWNSESSION
         s1 check /a           => UNIMPLEMENTED",
    );
}

#[test]
fn a_failed_multi_leaves_no_trace_for_those_behind_it() {
    check(
        "s1 create /q                                                => /q
         s1 create /q/n flags=2                                      => /q/n0000000000
         s1 multi create /q/n flags=2 ; create /q/e flags=1 ; delete /none => OK ; OK ; NONODE
         s1 create /q/n flags=2                                      => /q/n0000000001
         s1 delete /q/n0000000000
         s1 multi delete /q/n0000000001 ; delete /q ; create /q      => deleted ; deleted ; /q
         s1 multi delete /q ; create /q ; create /                   => OK ; OK ; NODEEXISTS
         s1 exists /q                                                => v=0 cv=0 av=0
         s1 close
         s2 ls /                                                     => q zookeeper",
    );
}

#[test]
fn in_a_multi_the_flags_outweigh_the_operation() {
    check(
        "s1 multi create /a flags=4 ; create2 /b flags=4    => /a v=0 cv=0 av=0 ; /b v=0 cv=0 av=0
         s1 multi ttl /c flags=5 ttl=9 ; container /d       => /c v=0 cv=0 av=0 ; /d v=0 cv=0 av=0
         s1 reap /a
         s1 multi ttl /e flags=0 ttl=9                      => /e
         s1 multi ttl /f flags=9 ttl=9                      => BADARGUMENTS
         s1 multi ttl /f flags=5 ttl=9 acl=null             => INVALIDACL",
    );
}

#[test]
fn what_the_caller_refused_becomes_an_error() {
    check(
        "s1 malformed  => MARSHALLINGERROR
         s1 moved      => SESSIONMOVED
         s1 get /none  => NONODE",
    );
}

#[test]
fn pipelined_writes_depend_on_each_other() {
    check(
        "s1 create /a                  => /a
         s1 create /a/b flags=1        => /a/b
         s1 delete /a                  => NOTEMPTY
         s1 delete /a/b
         s1 delete /a
         s1 create /a/b                => NONODE
         s1 create /a acl=world:r      => /a
         s1 set /a                     => NOAUTH
         s0 setacl /a                  => v=0 cv=0 av=1
         s1 set /a                     => v=1 cv=0 av=1
         s1 set /a v=0                 => BADVERSION
         s1 set /a v=1                 => v=2 cv=0 av=1
         s5 create /x flags=1          => SESSIONEXPIRED
         s5 open
         s5 create /x flags=1          => /x
         s5 close
         s5 create /y flags=1          => SESSIONEXPIRED
         s1 create /x                  => /x",
    );
}
