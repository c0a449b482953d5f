{
  description = "slotproof: proves in virtual machines that a device survives its own updates";

  # No inputs: what a test needs is the host's, a Debian with what './run' installs: a build runs with the
  # host's /usr/bin, so without nix's sandbox; the image's root has files of other groups, which nix's
  # filter of system calls forbids; and as root nix wants other users to build as.
  #
  #   nix --extra-experimental-features 'nix-command flakes' --option sandbox false \
  #       --option build-users-group '' --option filter-syscalls false \
  #       build .#checks.x86_64-linux.rauc-slots --no-link -L
  outputs = { self }:
    let
      tests = [
        "rauc-slots" "rauc-update" "rauc-rollback" "rauc-confirm" "rauc-power-loss" "rauc-watchdog"
        "firewall" "network-isolation" "ssh-wan-toggle"
      ];
      # Of a checkout that is in use ("path:...") not what was built in it: that is of another place.
      source = builtins.path {
        path = self.outPath;
        name = "slotproof-source";
        filter = path: type:
          !(builtins.elem path (map (name: "${self.outPath}/${name}") [ "build" "out" ".git" ]));
      };
      check = system: test: derivation {
        name = "slotproof-${test}";
        inherit system;
        builder = "/bin/sh";
        args = [
          "-euc"
          ''
            export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$NIX_BUILD_TOP" TMPDIR="$NIX_BUILD_TOP"
            cp -R ${source} source
            chmod -R u+w source
            cd source
            ./run ${test}
            mkdir "$out"
            cp out/junit.xml out/report.html "$out"
          ''
        ];
      };
      of = system: builtins.listToAttrs
        (map (test: { name = test; value = check system test; }) tests);
    in
    {
      checks.x86_64-linux = of "x86_64-linux";
      checks.aarch64-linux = of "aarch64-linux";
    };
}
